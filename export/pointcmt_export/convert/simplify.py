"""Leaving out of a traced network what changes nothing, and what is computed a second time."""

import sys
from typing import cast

import torch
from torch import fx
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.fx.passes.dialect.common.cse_pass import CSEPass, get_CSE_banned_ops

ATEN = torch.ops.aten
SHAPING = (ATEN.expand.default, ATEN.flatten.using_ints, ATEN.reshape.default, ATEN.view.default)
WHOLE = (0, None, None, 1)  # what a slice's dim, start, end and step are when they are not given


def simplify(module: fx.GraphModule, kept: set[object]) -> fx.GraphModule:
    """Return a module with the same results in fewer steps, which is written as ONNX sooner.

    Args:
        module: a trace of a network in evaluation; it is used up.
        kept: ops (overload packets) of which each call stays, even beside an equal one.
    """
    for node in tuple(module.graph.nodes):
        if node.target is ATEN._assert_tensor_metadata.default:
            module.graph.erase_node(node)
        elif _changes_nothing(node):
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
        elif node.target is ATEN.flatten.using_ints:
            _state_sizes(node)
    once: fx.GraphModule = CSEPass(get_CSE_banned_ops() | kept)(module).graph_module
    return once


def _changes_nothing(node: fx.Node) -> bool:
    if node.target in (ATEN.alias.default, ATEN.detach.default):
        return True
    if node.target is ATEN.to.dtype:
        source, dtype = node.args[:2]
        return isinstance(source, fx.Node) and source.meta["val"].dtype is dtype
    if node.target in SHAPING:
        new, old = node.meta["val"].shape, cast(fx.Node, node.args[0]).meta["val"].shape
        equal = (statically_known_true(a == b) for a, b in zip(new, old, strict=False))
        return len(new) == len(old) and all(equal)
    if node.target is ATEN.slice.Tensor:
        _, start, end, step = node.args[1:] + WHOLE[len(node.args) - 1 :]
        return start in (None, 0) and end in (None, sys.maxsize) and bool(step == 1)
    return False


def _state_sizes(node: fx.Node) -> None:
    """Let a flatten name the sizes that it keeps where they are numbers, not compute them."""
    source, start = cast(fx.Node, node.args[0]), cast(int, (*node.args[1:], 0)[0])
    sizes = list(node.meta["val"].shape)
    flat = start % source.meta["val"].dim()
    if all(isinstance(size, int) for size in sizes[:flat] + sizes[flat + 1 :]):
        sizes[flat] = -1
        node.target, node.args = ATEN.reshape.default, (source, sizes)
