"""Checkpoints of public implementations, imported as model folders of this project."""
