"""The page that shows a run."""

from pointcmt_training.report.page import write_report

__all__ = ["write_report"]
