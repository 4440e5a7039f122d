"""Torch-free classification and part segmentation of point clouds with an exported student."""

from pointcmt_serve.artefact import Artefact
from pointcmt_serve.classifier import Classifier
from pointcmt_serve.prediction import Candidate, Prediction
from pointcmt_serve.segmenter import Segmentation, Segmenter

__all__ = ["Artefact", "Candidate", "Classifier", "Prediction", "Segmentation", "Segmenter"]
