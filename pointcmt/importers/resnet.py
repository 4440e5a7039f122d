"""torchvision's ResNets, and the released PointCMT teacher that is one of them.

Our ResNets have torchvision's names. The released teacher holds the same network as an
`nn.Sequential` of its children, `net.0` to `net.8`, and its classifier as `fc.0`.
"""

import torch

from pointcmt.importers.mapping import Found, Plan, Rule, columns, rows
from pointcmt.teacher.resnet import RESNETS
from pointcmt.weights import State

CHILDREN = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}


def plan_torchvision(state: State, where: str) -> Found:
    """Plan the import of resnet18, resnet34 or resnet50 with its last layer."""
    return _plan(state, where, {name: name for name in CHILDREN}, "fc")


def plan_released_teacher(state: State, where: str) -> Found:
    """Plan the import of the teacher that the authors of PointCMT released."""
    return _plan(state, where, {name: f"net.{i}" for name, i in CHILDREN.items()}, "fc.0")


def _plan(state: State, where: str, names: dict[str, str], last: str) -> Found:
    stem = f"{names['conv1']}.weight"
    channels, width = columns(state, stem, where), rows(state, stem, where)
    bottleneck = f"{names['layer1']}.0.conv3.weight" in state
    deep = f"{names['layer3']}.5.conv1.weight" in state
    backbone = "resnet50" if bottleneck else "resnet34" if deep else "resnet18"
    with torch.device("meta"):
        own = RESNETS[backbone]().state_dict()
    rules = [Rule(f"encoder.{key}", _source(key, names), torch.clone) for key in own]
    rules += [Rule(f"classifier.{part}", f"{last}.{part}") for part in ("weight", "bias")]
    options = {
        "in_channels": channels,
        "width": width / 64,
        "feature_dim": None,
    }
    classes = rows(state, f"{last}.weight", where)
    return Found(backbone, classes, options, Plan(tuple(rules)), teacher=True)


def _source(key: str, names: dict[str, str]) -> str:
    child, _, rest = key.partition(".")
    return f"{names[child]}.{rest}"
