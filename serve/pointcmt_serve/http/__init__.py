"""The server: exported students behind the Open Inference Protocol, version 2."""

from pointcmt_serve.http.app import create_app
from pointcmt_serve.http.settings import Batching, Limits, ModelSource, Security, Settings

__all__ = ["Batching", "Limits", "ModelSource", "Security", "Settings", "create_app"]
