"""How the student learns from the teacher: PointCMT and what it is compared with, one file each."""

from collections.abc import Mapping

from pointcmt_training.distillation.control import Control
from pointcmt_training.distillation.hinton import Hinton
from pointcmt_training.distillation.iekd import InheritanceExploration
from pointcmt_training.distillation.method import Method
from pointcmt_training.distillation.normalized import NormalizeFirst, NormalizeSecond
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.distillation.self_training import SelfTraining
from pointcmt_training.distillation.srrl import SoftmaxRegression

METHODS: Mapping[str, type[Method]] = {
    "none": Control,
    "pointcmt": PointCMT,
    "hinton": Hinton,
    "normalize1": NormalizeFirst,
    "normalize2": NormalizeSecond,
    "srrl": SoftmaxRegression,
    "iekd": InheritanceExploration,
    "self": SelfTraining,
}
"""The choices of a recipe's `method=`; the fields of each are the keys of `distillation:`."""
