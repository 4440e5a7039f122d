"""Writing a traced network as ONNX: standard operators, dynamic batch and points, metadata."""

import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import onnx
import onnx_ir
import onnxscript.optimizer
import torch
from onnx_ir import serde
from torch import fx

from pointcmt.errors import InputError
from pointcmt_export.convert.host_steps import HostStep
from pointcmt_export.convert.index_ops import OPSET
from pointcmt_export.convert.maxima import Maxima
from pointcmt_export.convert.narrow_maxima import narrow_maxima
from pointcmt_export.convert.replace_ops import define_ops, name_ops
from pointcmt_export.convert.trace import IndexOp, Traced

FOLDED_ELEMENTS = 64  # larger constants are weights, which keep their name and layout

Program = torch.onnx.ONNXProgram | None


@dataclass(frozen=True)
class Converted:
    """An ONNX model and the names of what can be seen inside it.

    Attributes:
        model: takes `points` and the host's indices, gives `logits`.
        indices: names of the values that hold the indices computed in the graph.
        host: how the host computes the further inputs; empty for a graph that samples itself.
        maxima: the maxima over points, see `Maxima.to_json`; their values are in the graph.
    """

    model: onnx.ModelProto
    indices: tuple[str, ...]
    host: tuple[HostStep, ...]
    maxima: Mapping[str, Any]


def to_onnx(
    traced: Traced,
    maxima: Maxima,
    steps: Sequence[HostStep] = (),
    on_host: Sequence[IndexOp] = (),
) -> Converted:
    """Convert a traced student to ONNX.

    Args:
        traced: the traced student.
        maxima: its maxima over points.
        steps: the host's steps, for a graph that takes indices as inputs.
        on_host: the ops these steps replace, in the same order.

    Raises:
        InputError: an operator of the student has no ONNX counterpart.
    """
    seen = maxima.named()
    standard = define_ops(write_calls(traced, seen), [op.name for op in on_host])
    program = narrow_maxima(serde.deserialize_model(standard))
    onnxscript.optimizer.fold_constants(program, should_fold=_keeps_weights)
    onnxscript.optimizer.remove_unused_nodes(program)
    model = _clean(serde.serialize_model(program))
    del model.graph.output[1:]  # indices and maxima stay inside, under their names
    indices = tuple(op.name for op in traced.indices if op not in on_host)
    return Converted(model, indices, tuple(steps), maxima.to_json())


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, Any]) -> None:
    """Set `metadata_props`: each key gets the prefix `pointcmt.`, each value is text or JSON."""
    onnx.helper.set_model_props(
        model,
        {
            f"pointcmt.{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in metadata.items()
        },
    )


def write_calls(traced: Traced, seen: Mapping[str, fx.Node]) -> onnx.ModelProto:
    """Write a network as ONNX with its index ops as calls of functions, see `define_ops`.

    Args:
        traced: the network.
        seen: nodes whose values become outputs behind `logits` and the indices, by their names.

    Raises:
        InputError: an operator has no ONNX counterpart.
    """
    module = name_ops(traced, tuple(seen.values()))
    free = (traced.dynamic_shapes,)
    program = torch.export.export(module, (traced.example,), dynamic_shapes=free, strict=False)
    write = partial(
        torch.onnx.export,
        dynamo=True,
        opset_version=OPSET,
        input_names=["points"],
        output_names=["logits", *(op.name for op in traced.indices), *seen],
        dynamic_shapes=free,  # for their names
        optimize=False,
        verbose=False,
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx._internal.exporter").setLevel(logging.ERROR)
            return cast(torch.onnx.ONNXProgram, _write(program, write)).model_proto
    except torch.onnx.errors.OnnxExporterError as error:
        raise InputError(f"the student cannot be written as ONNX: {_reason(error)}") from error


def _write(program: torch.export.ExportedProgram, write: Callable[..., Program]) -> Program:
    """Write a program in its own operators where ONNX has them all, else decomposed.

    Decomposing traces the network anew, which takes most of the time.
    """
    whole = copy(program)
    whole.run_decompositions = lambda *_, **__: whole
    try:
        return write(whole)
    except torch.onnx.errors.OnnxExporterError:
        return write(program)


def _keeps_weights(node: onnx_ir.Node) -> bool | None:
    """Forbid folding a node that reads a weight, so that weights keep their name and layout."""
    constants = [value.const_value for value in node.inputs if value is not None]
    large = any(c is not None and c.size > FOLDED_ELEMENTS for c in constants)
    return False if large else None


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300]


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter noted about this machine's files, and unused constants."""
    for graph in _graphs(model.graph):
        for item in (*graph.node, *graph.input, *graph.output, *graph.value_info):
            del item.metadata_props[:]
            item.doc_string = ""
        for tensor in graph.initializer:
            del tensor.metadata_props[:]
            tensor.doc_string = ""
        del graph.metadata_props[:]
        graph.doc_string = ""
    used = {name for graph in _graphs(model.graph) for node in graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.metadata_props[:]
    model.graph.name = "pointcmt"
    return model


def _graphs(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    inner = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return [graph, *(g for sub in inner for g in _graphs(sub))]
