"""The gate: what an artefact must show before it may exist."""

from pointcmt_export.verify.check import Check, Status, Thresholds, failed
from pointcmt_export.verify.clouds import Clouds, open_calibration, open_data

__all__ = ["Check", "Clouds", "Status", "Thresholds", "failed", "open_calibration", "open_data"]
