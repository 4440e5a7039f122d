"""onnxruntime on the file that the format of the same test writes."""

from pointcmt_serve.engines.onnxruntime import OnnxSession


class CopiedSession(OnnxSession):
    """What differs from one engine to another is how it loads and runs."""
