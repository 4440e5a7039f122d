"""The benchmark: every engine on one student, side by side, in one run."""

from pointcmt_export.bench.command import bench

__all__ = ["bench"]
