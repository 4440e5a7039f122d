"""The embedded data set: objects made from a seed, for demos and tests without a download."""

from pointcmt.data.shapes.dataset import SHAPES_CLASSES, Shapes

__all__ = ["SHAPES_CLASSES", "Shapes"]
