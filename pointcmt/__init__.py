"""PointCMT: point-cloud classifiers trained with the help of images, deployed without them."""

__version__ = "0.1.0"
