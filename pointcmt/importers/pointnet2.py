"""PointNet++ of yanx27/Pointnet_Pointnet2_pytorch, erikwijmans/Pointnet2_PyTorch, PointCMT's own.

Facts from the repositories that the mappings rest on:

- yanx27: every 1x1 convolution has a bias; the multi-scale network puts features before the
  relative position, the single-scale one and the global level put the position first.
- erikwijmans: no bias before a batch norm; position first throughout; the single-scale network
  groups 64 neighbours on its first level, not 32. Keys came in two layouts: of the author's
  `etw_pytorch_utils` (versions 1 and 2) and of plain `nn.Sequential` (version 3).
- The released PointCMT is erikwijmans's multi-scale network, xyz only, with the head cut to one
  hidden layer of 512 and one linear layer.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pointcmt.importers.mapping import (
    Found,
    Plan,
    Rule,
    columns,
    layer,
    layers,
    linear,
    matrix,
    rows,
)
from pointcmt.weights import State

DEPTH = 3  # layers in every shared MLP of these networks
SCALES = {"pointnet2-ssg": 1, "pointnet2-msg": 3}


def plan_yanx27(state: State, where: str) -> Found:
    """Plan the import of pointnet2_cls_ssg or pointnet2_cls_msg."""
    multi = "sa1.conv_blocks.0.0.weight" in state
    student = "pointnet2-msg" if multi else "pointnet2-ssg"
    first = "sa1.conv_blocks.0.0.weight" if multi else "sa1.mlp_convs.0.weight"
    channels = columns(state, first, where)
    rules: list[Rule] = []
    for level in range(2):
        for scale in range(SCALES[student]):
            target = f"levels.{level}.scales.{scale}.mlp.layers"
            rules += _yanx27_mlp(target, f"sa{level + 1}", scale if multi else None)
    rules += _yanx27_mlp("top.mlp.layers", "sa3", None)
    rules += layers("hidden", [("fc1", "bn1"), ("fc2", "bn2")], bias=True)
    rules += linear("classifier", "fc3", bias=True)
    options = {"head": "original", "bias": True, "channels": channels}
    return Found(student, rows(state, "fc3.weight", where), options, Plan(tuple(rules)))


def _yanx27_mlp(target: str, source: str, scale: int | None) -> Iterator[Rule]:
    convs = f"{source}.mlp_convs" if scale is None else f"{source}.conv_blocks.{scale}"
    norms = f"{source}.mlp_bns" if scale is None else f"{source}.bn_blocks.{scale}"
    for i in range(DEPTH):
        convert = _position_first if scale is not None and i == 0 else matrix
        names = f"{target}.{i}", f"{convs}.{i}", f"{norms}.{i}"
        yield from layer(*names, bias=True, convert=convert)


def _position_first(weight: Tensor) -> Tensor:
    """Reorder the columns (features, position) of a first layer to (position, features)."""
    flat = matrix(weight)
    return torch.roll(flat, 3, dims=1) if flat.ndim == 2 else flat  # whose shape is then refused


def plan_erikwijmans(state: State, where: str) -> Found:
    """Plan the import of Pointnet2SSG or Pointnet2MSG of any version."""
    rules, student, options = _erikwijmans_levels(state, where)
    if student == "pointnet2-ssg":
        options["neighbours"] = [[64], [64]]
    options["head"] = "original"
    plain = any(key.startswith("fc_layer.") for key in state)
    hidden, last = _plain_head(state) if plain else _etw_head(state)
    rules += layers("hidden", hidden, bias=False)
    rules += linear("classifier", last, bias=True)
    return Found(student, rows(state, f"{last}.weight", where), options, Plan(tuple(rules)))


def plan_released(state: State, where: str) -> Found:
    """Plan the import of the student that the authors of PointCMT released."""
    rules, student, options = _erikwijmans_levels(state, where)
    fc = "fc_layer1.0"
    rules += layer("hidden.0", f"{fc}.fc", _etw_norm(state, fc), bias=False)
    rules += linear("classifier", "fc_layer2.0", bias=True)
    return Found(student, rows(state, "fc_layer2.0.weight", where), options, Plan(tuple(rules)))


def _erikwijmans_levels(state: State, where: str) -> tuple[list[Rule], str, dict[str, Any]]:
    multi = any(key.startswith("SA_modules.0.mlps.1.") for key in state)
    student = "pointnet2-msg" if multi else "pointnet2-ssg"
    rules: list[Rule] = []
    for level in range(2):
        for scale in range(SCALES[student]):
            source = f"SA_modules.{level}.mlps.{scale}"
            rules += _shared_mlp(f"levels.{level}.scales.{scale}.mlp.layers", source, state)
    rules += _shared_mlp("top.mlp.layers", "SA_modules.2.mlps.0", state)
    return rules, student, {"channels": columns(state, rules[0].source, where)}


def _shared_mlp(target: str, source: str, state: State) -> Iterator[Rule]:
    if f"{source}.0.weight" in state:  # nn.Sequential of convolution, batch norm, ReLU
        pairs = [(f"{source}.{3 * i}", f"{source}.{3 * i + 1}") for i in range(DEPTH)]
    else:
        units = [f"{source}.layer{i}" for i in range(DEPTH)]
        pairs = [(f"{unit}.conv", _etw_norm(state, unit)) for unit in units]
    return layers(target, pairs, bias=False)


def _etw_norm(state: State, unit: str) -> str:
    """The batch norm of a unit of etw_pytorch_utils, whose versions name it differently."""
    names = f"{unit}.bn.bn", f"{unit}.normlayer.bn", f"{unit}.bn"
    return next((name for name in names if f"{name}.weight" in state), names[0])


def _etw_head(state: State) -> tuple[list[tuple[str, str]], str]:
    units = "FC_layer.0", "FC_layer.2"  # dropout stands between
    return [(f"{unit}.fc", _etw_norm(state, unit)) for unit in units], "FC_layer.4.fc"


def _plain_head(state: State) -> tuple[list[tuple[str, str]], str]:
    """Find the layers of a head whose dropout layers moved between versions."""
    weights = sorted(k for k in state if k.startswith("fc_layer.") and k.endswith(".weight"))
    names = {dims: [k[:-7] for k in weights if state[k].ndim == dims] for dims in (1, 2)}
    pairs = list(zip(names[2], names[1], strict=False))
    return pairs[:2] or [("fc_layer.0", "fc_layer.1")], (names[2] or ["fc_layer.7"])[-1]
