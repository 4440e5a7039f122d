"""From the key layout of a public network to ours: every key accounted for, or an error.

A source describes its layout as a `Plan`: which of our tensors comes from which of its keys. The
plan is then carried out here, for all sources alike.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pointcmt.errors import InputError
from pointcmt.weights import State, listing

COUNTER = "num_batches_tracked"  # absent from files older than PyTorch 0.4.1; no output needs it


def matrix(weight: Tensor) -> Tensor:
    """View the weight of a 1x1 convolution (O, I, 1[, 1]) as that of a linear map, (O, I)."""
    return weight.flatten(2).squeeze(2) if weight.ndim > 2 else weight


@dataclass(frozen=True)
class Rule:
    """One of our tensors and the key of the file that it comes from."""

    target: str
    source: str
    convert: Callable[[Tensor], Tensor] = matrix


@dataclass(frozen=True)
class Plan:
    """How a file becomes a network of ours.

    Attributes:
        rules: one for each tensor of our network.
        aliases: keys that hold the same tensor as another key, by that key.
        unused: keys that the published computation never reads.
    """

    rules: tuple[Rule, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    def apply(self, state: State, where: str) -> State:
        """Return our tensors.

        Raises:
            InputError: keys are missing or left over, or two names of one tensor disagree.
        """
        rules = [r for r in self.rules if not r.source.endswith(COUNTER) or r.source in state]
        expected = {rule.source for rule in rules}.union(self.aliases, self.unused)
        missing = sorted(k for k in expected - set(state) if not k.endswith(COUNTER))
        left = sorted(set(state) - expected)
        if missing or left:
            raise InputError(f"{where}: {_odd_keys(missing, left)}")
        for name, original in self.aliases.items():
            if name in state and not torch.equal(state[name], state[original]):
                raise InputError(f"{where}: {name} and {original} should be one tensor but differ")
        counters = [r.target for r in self.rules if r.source.endswith(COUNTER)]
        tensors = {target: torch.zeros((), dtype=torch.int64) for target in counters}
        return tensors | {rule.target: rule.convert(state[rule.source]) for rule in rules}


@dataclass(frozen=True)
class Found:
    """What a file turned out to hold.

    Attributes:
        network: name of a student, or backbone of a teacher.
        classes: number of classes.
        options: keyword options of the student or of `MultiViewTeacher`.
        plan: where its tensors come from.
        teacher: whether it is an image teacher.
    """

    network: str
    classes: int
    options: dict[str, Any]
    plan: Plan
    teacher: bool = False


def _odd_keys(missing: list[str], left: list[str]) -> str:
    parts = [f"missing {listing(missing)}"] if missing else []
    parts += [f"left over {listing(left)}"] if left else []
    return "not the weights of this network (" + "; ".join(parts) + ")"


def norm(target: str, source: str) -> Iterator[Rule]:
    """Yield the rules of a batch norm."""
    for part in ("weight", "bias", "running_mean", "running_var", COUNTER):
        yield Rule(f"{target}.{part}", f"{source}.{part}")


def linear(
    target: str, source: str, *, bias: bool, convert: Callable[[Tensor], Tensor] = matrix
) -> Iterator[Rule]:
    """Yield the rules of a linear map or 1x1 convolution; `convert` acts on its weight."""
    yield Rule(f"{target}.weight", f"{source}.weight", convert)
    if bias:
        yield Rule(f"{target}.bias", f"{source}.bias")


def layer(
    target: str,
    source: str,
    source_norm: str,
    *,
    bias: bool,
    convert: Callable[[Tensor], Tensor] = matrix,
) -> Iterator[Rule]:
    """Yield the rules of a `pointcmt.models.layers.MLPLayer`: a linear map and its batch norm."""
    yield from linear(f"{target}.linear", source, bias=bias, convert=convert)
    yield from norm(f"{target}.norm", source_norm)


def layers(
    target: str, sources: Iterable[tuple[str, str]], *, bias: bool | Iterable[bool]
) -> Iterator[Rule]:
    """Yield the rules of consecutive layers, `target`.0, .1, ..., from (linear, norm) names."""
    pairs = list(sources)
    biases = [bias] * len(pairs) if isinstance(bias, bool) else bias
    for i, ((source, source_norm), has_bias) in enumerate(zip(pairs, biases, strict=True)):
        yield from layer(f"{target}.{i}", source, source_norm, bias=has_bias)


def rows(state: State, key: str, where: str) -> int:
    """Return the output count of a linear map or convolution; of the last, the number of classes.

    Raises:
        InputError: there is no such key, or it holds no such map.
    """
    return _map(state, key, where).shape[0]


def columns(state: State, key: str, where: str) -> int:
    """Return the input count of a linear map or convolution.

    Raises:
        InputError: there is no such key, or it holds no such map.
    """
    return _map(state, key, where).shape[1]


def _map(state: State, key: str, where: str) -> Tensor:
    weight = require(state, key, where)
    if weight.ndim < 2 or 0 in weight.shape:
        raise InputError(
            f"{where}: not the weights of this network ({key} is {tuple(weight.shape)}, no map)"
        )
    return weight


def require(state: State, key: str, where: str) -> Tensor:
    """Return a tensor of the file.

    Raises:
        InputError: there is no such key.
    """
    if key not in state:
        raise InputError(f"{where}: not the weights of this network (missing {key})")
    return state[key]


def check_shapes(tensors: State, own: Mapping[str, Any], where: str) -> None:
    """Compare what a plan gave with the tensors of the network it is meant for.

    Raises:
        InputError: there are others, or a shape differs.
    """
    if odd := sorted(set(own) ^ set(tensors)):
        raise InputError(
            f"{where}: not the weights of this network with these options ({listing(odd)})"
        )
    odd = [
        f"{key} is {tuple(tensors[key].shape)}, not {tuple(own[key].shape)}"
        for key in sorted(tensors)
        if tensors[key].shape != own[key].shape
    ]
    if odd:
        raise InputError(f"{where}: not the weights of this network ({listing(odd)})")
