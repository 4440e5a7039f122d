"""The data sets of the paper, one class each, in the formats in which they are distributed."""

from pointcmt.data.dataset import CloudDataset, Sample, ViewSource
from pointcmt.data.modelnet import MODELNET40_CLASSES, ModelNet40
from pointcmt.data.shapes import SHAPES_CLASSES, Shapes
from pointcmt.data.splits import class_balanced_subset, split_validation

__all__ = [
    "MODELNET40_CLASSES",
    "SHAPES_CLASSES",
    "CloudDataset",
    "ModelNet40",
    "Sample",
    "Shapes",
    "ViewSource",
    "class_balanced_subset",
    "split_validation",
]
