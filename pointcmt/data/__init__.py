"""The data sets: a catalogue of records, and one class each for the formats they come in."""

from pointcmt.data.catalog import CATALOG, open_dataset, parse_reference
from pointcmt.data.dataset import CloudDataset, Sample, ViewSource
from pointcmt.data.readers.decoded import DecodedViews
from pointcmt.data.readers.folder import CloudFolder
from pointcmt.data.readers.modelnet40 import MODELNET10_CLASSES, MODELNET40_CLASSES, ModelNet40
from pointcmt.data.readers.modelnet_meshes import ModelNetMeshes
from pointcmt.data.readers.modelnet_resampled import ModelNetResampled
from pointcmt.data.readers.rendered import RenderedViews
from pointcmt.data.readers.scanobjectnn import SCANOBJECTNN_CLASSES, ScanObjectNN
from pointcmt.data.readers.scanobjectnn_color import ScanObjectNNColor
from pointcmt.data.readers.shapenetpart import (
    SHAPENETPART_CLASSES,
    SHAPENETPART_PARTS,
    ShapeNetPart,
)
from pointcmt.data.readers.shapenetpart_hdf5 import ShapeNetPartHDF5
from pointcmt.data.readers.shapes import SHAPES_CLASSES, Shapes
from pointcmt.data.record import DataSet
from pointcmt.data.splits import class_balanced_subset, split_validation

__all__ = [
    "CATALOG",
    "MODELNET10_CLASSES",
    "MODELNET40_CLASSES",
    "SCANOBJECTNN_CLASSES",
    "SHAPENETPART_CLASSES",
    "SHAPENETPART_PARTS",
    "SHAPES_CLASSES",
    "CloudDataset",
    "CloudFolder",
    "DataSet",
    "DecodedViews",
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
    "open_dataset",
    "parse_reference",
    "split_validation",
]
