"""Torch-free classification of point clouds with an exported student."""

from pointcmt_serve.artefact import Artefact
from pointcmt_serve.classifier import Classifier
from pointcmt_serve.prediction import Candidate, Prediction

__all__ = ["Artefact", "Candidate", "Classifier", "Prediction"]
