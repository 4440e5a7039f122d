"""DGCNN of WangYueFt and antao97, RS-CNN of Yochengliu and PointMLP of ma-xu.

Facts from the repositories that the mappings rest on:

- DGCNN (both): each batch norm is registered twice, as `bnN` and inside `convN`, so its tensors
  stand twice in the file; edges are (x_j - x_i, x_i) as ours; the second hidden layer has a bias.
- RS-CNN: the "absolute position" that enters the relation is the relative one, because the
  centre is subtracted in place; our network does so unless told otherwise. The second level
  carries a batch norm, `bn_xyz_raising`, that its computation never reads.
- PointMLP: the affine parameters have shape (1, 1, 1, C); only the head's hidden layers have
  biases. The light network has an embedding of 32 channels, the full one of 64.
"""

from collections.abc import Iterator

from torch import Tensor

from pointcmt.importers.mapping import (
    COUNTER,
    Found,
    Plan,
    Rule,
    columns,
    layer,
    layers,
    linear,
    norm,
    rows,
)
from pointcmt.weights import State

NORM_PARTS = ("weight", "bias", "running_mean", "running_var", COUNTER)


def plan_dgcnn(state: State, where: str) -> Found:
    """Plan the import of DGCNN or DGCNN_cls."""
    channels = columns(state, "conv1.0.weight", where) // 2
    rules: list[Rule] = []
    for i in range(4):
        rules += layer(f"edge_convs.{i}.layer", f"conv{i + 1}.0", f"bn{i + 1}", bias=False)
    rules += layer("embedding", "conv5.0", "bn5", bias=False)
    rules += layers("hidden", [("linear1", "bn6"), ("linear2", "bn7")], bias=(False, True))
    rules += linear("classifier", "linear3", bias=True)
    twice = {f"conv{i}.1.{p}": f"bn{i}.{p}" for i in range(1, 6) for p in NORM_PARTS}
    options = {"head": "original", "channels": channels}
    return Found("dgcnn", rows(state, "linear3.weight", where), options, Plan(tuple(rules), twice))


def plan_rscnn(state: State, where: str) -> Found:
    """Plan the import of RSCNN_SSN."""
    convs = [f"SA_modules.{level}.mlps.0.RSConvLayer0.RS_Conv" for level in range(2)]
    channels = columns(state, f"{convs[0]}.xyz_raising.weight", where)
    first = "convs.0.raise_channels"
    rules: list[Rule] = []
    rules += layer(first, f"{convs[0]}.xyz_raising", f"{convs[0]}.bn_xyz_raising", bias=True)
    for level, source in enumerate(convs):
        rules += _rsconv(f"convs.{level}", source)
    top = "SA_modules.2.mlps.0"
    rules += layer("top.mlp.layers.0", f"{top}.conv_avg", f"{top}.bn_avg", bias=True)
    head = [(f"FC_layer.{i}.fc", f"FC_layer.{i}.bn.bn") for i in (0, 2)]
    rules += layers("hidden", head, bias=False)
    rules += linear("classifier", "FC_layer.4.fc", bias=True)
    unused = tuple(f"{convs[1]}.bn_xyz_raising.{part}" for part in NORM_PARTS)
    options = {"head": "original", "channels": channels}
    classes = rows(state, "FC_layer.4.fc.weight", where)
    return Found("rscnn", classes, options, Plan(tuple(rules), unused=unused))


def _rsconv(target: str, source: str) -> Iterator[Rule]:
    relation = f"{source}.mapping_func1", f"{source}.bn_mapping"
    yield from layer(f"{target}.relation", *relation, bias=True)
    yield from linear(f"{target}.to_weight", f"{source}.mapping_func2", bias=True)
    yield from norm(f"{target}.norm", f"{source}.bn_rsconv")
    raising = f"{source}.cr_mapping", f"{source}.bn_channel_raising"
    yield from layer(f"{target}.out", *raising, bias=True)


def plan_pointmlp(state: State, where: str) -> Found:
    """Plan the import of pointMLP or pointMLPElite, from ModelNet40 or ScanObjectNN."""
    embedding = "embedding.net.0.weight"
    light = rows(state, embedding, where) < 64
    rules = list(layer("embedding", "embedding.net.0", "embedding.net.1", bias=False))
    for i, blocks in enumerate((1, 1, 2, 1) if light else (2, 2, 2, 2)):
        rules += _stage(f"stages.{i}", i, blocks)
    head = [("classifier.0", "classifier.1"), ("classifier.4", "classifier.5")]
    rules += layers("hidden", head, bias=True)
    rules += linear("classifier", "classifier.8", bias=True)
    options = {"head": "original", "channels": columns(state, embedding, where)}
    student = "pointmlp-elite" if light else "pointmlp"
    return Found(student, rows(state, "classifier.8.weight", where), options, Plan(tuple(rules)))


def _stage(target: str, i: int, blocks: int) -> Iterator[Rule]:
    for part in ("alpha", "beta"):
        source = f"local_grouper_list.{i}.affine_{part}"
        yield Rule(f"{target}.affine.{part}", source, Tensor.flatten)
    transfer = f"pre_blocks_list.{i}.transfer.net"
    yield from layer(f"{target}.transfer", f"{transfer}.0", f"{transfer}.1", bias=False)
    for part, sources in (("before", "pre_blocks_list"), ("after", "pos_blocks_list")):
        for j in range(blocks):
            for name, net in (("first", "net1"), ("second", "net2")):
                source = f"{sources}.{i}.operation.{j}.{net}"
                ours = f"{target}.{part}.{j}.{name}"
                yield from layer(ours, f"{source}.0", f"{source}.1", bias=False)
