"""A model repository for NVIDIA Triton Inference Server, made of an exported folder."""

from pointcmt_export.formats.triton.configuration import Serving
from pointcmt_export.formats.triton.repository import write_repository, writer

__all__ = ["Serving", "write_repository", "writer"]
