"""The deployable network: what a student computes, rearranged for inference.

One file a family of students. Batch norms are folded into the linear maps, the first map of a
grouped MLP is taken before grouping as far as that keeps its precision, the maximum over a group is
taken before bias and activation, and everything is rows of channels, so that the heavy work is
plain matrix multiplication. Neighbours and samples come from `pointcmt.ops`, as in the student.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from pointcmt.models import Network
from pointcmt.models.dgcnn import DGCNN
from pointcmt.models.pointmlp import PointMLP
from pointcmt.models.pointnet import PointNet
from pointcmt.models.pointnet2 import PointNet2
from pointcmt.models.pointnet2_parts import PointNet2Parts
from pointcmt.models.pointnext import PointNeXtS
from pointcmt.models.rscnn import RSCNN
from pointcmt_export.convert.networks.as_written import AsWritten
from pointcmt_export.convert.networks.dgcnn import DeployedDGCNN
from pointcmt_export.convert.networks.pointmlp import DeployedPointMLP
from pointcmt_export.convert.networks.pointnet import DeployedPointNet
from pointcmt_export.convert.networks.pointnet2 import DeployedPointNet2
from pointcmt_export.convert.networks.pointnet2_parts import DeployedPointNet2Parts
from pointcmt_export.convert.networks.pointnext import DeployedPointNeXt
from pointcmt_export.convert.networks.rscnn import DeployedRSCNN

DEPLOYED: dict[type[Any], Callable[[Any], nn.Module]] = {
    DGCNN: DeployedDGCNN,
    PointMLP: DeployedPointMLP,
    PointNet: DeployedPointNet,
    PointNet2: DeployedPointNet2,
    PointNet2Parts: DeployedPointNet2Parts,
    PointNeXtS: DeployedPointNeXt,
    RSCNN: DeployedRSCNN,
}


def deployable(student: Network) -> nn.Module:
    """Build the deployable network of a student from its weights.

    Args:
        student: a trained student; it is not changed.

    Returns:
        A module in evaluation mode that maps points (B, N, C) to logits, (B, classes) or of a
        segmenter (B, N, parts), as the student does, up to float32 rounding. A student without a
        network of its own, a user's for example, is wrapped as it is written.
    """
    build = _builder(student) or AsWritten
    return build(student).eval()


def has_own_network(student: Network) -> bool:
    """Whether a student has a deployable network other than the one it is written as."""
    return _builder(student) is not None


def _builder(student: Network) -> Callable[[Any], nn.Module] | None:
    for family, build in DEPLOYED.items():
        if isinstance(student, family) and _computes_as(family, student):
            return build
    return None


def _computes_as(family: type[Any], student: Network) -> bool:
    """Whether a student of a family, of a user's subclass perhaps, computes as the family does."""
    methods = ("forward", "encode", "classify", "embed")
    own = (getattr(type(student), each, None) is getattr(family, each, None) for each in methods)
    return all(own)
