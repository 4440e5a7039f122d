"""The messages of the Open Inference Protocol, version 2, and Triton's extensions of it."""

from pointcmt_serve.http.protocol.answer import Tensor, answer_tensors, write_answer
from pointcmt_serve.http.protocol.checks import WantedOutput
from pointcmt_serve.http.protocol.describe import (
    EXTENSIONS,
    configuration,
    metadata,
    server_metadata,
)
from pointcmt_serve.http.protocol.request import InferRequest, read_request

__all__ = [
    "EXTENSIONS",
    "InferRequest",
    "Tensor",
    "WantedOutput",
    "answer_tensors",
    "configuration",
    "metadata",
    "read_request",
    "server_metadata",
    "write_answer",
]
