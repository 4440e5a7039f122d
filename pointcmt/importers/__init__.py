"""Checkpoints of public implementations, imported as model folders of this project."""

from pointcmt.importers.sources import SOURCES, import_checkpoint

__all__ = ["SOURCES", "import_checkpoint"]
