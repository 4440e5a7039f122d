"""The data sets of the paper, one class each, in the formats in which they are distributed."""

from pointcmt.data.dataset import CloudDataset, Sample, ViewSource
from pointcmt.data.folder import CloudFolder, ModelNetMeshes
from pointcmt.data.modelnet import MODELNET10_CLASSES, MODELNET40_CLASSES, ModelNet40
from pointcmt.data.rendered import RenderedViews
from pointcmt.data.resampled import ModelNetResampled
from pointcmt.data.scanobjectnn import SCANOBJECTNN_CLASSES, ScanObjectNN
from pointcmt.data.scanobjectnn_raw import ScanObjectNNColor
from pointcmt.data.shapenetpart import SHAPENETPART_CLASSES, SHAPENETPART_PARTS, ShapeNetPart
from pointcmt.data.shapenetpart_hdf5 import ShapeNetPartHDF5
from pointcmt.data.shapes import SHAPES_CLASSES, Shapes
from pointcmt.data.splits import class_balanced_subset, split_validation

__all__ = [
    "MODELNET10_CLASSES",
    "MODELNET40_CLASSES",
    "SCANOBJECTNN_CLASSES",
    "SHAPENETPART_CLASSES",
    "SHAPENETPART_PARTS",
    "SHAPES_CLASSES",
    "CloudDataset",
    "CloudFolder",
    "ModelNet40",
    "ModelNetMeshes",
    "ModelNetResampled",
    "RenderedViews",
    "Sample",
    "ScanObjectNN",
    "ScanObjectNNColor",
    "ShapeNetPart",
    "ShapeNetPartHDF5",
    "Shapes",
    "ViewSource",
    "class_balanced_subset",
    "split_validation",
]
