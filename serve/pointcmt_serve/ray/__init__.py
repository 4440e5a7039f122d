"""The server on Ray Serve; needs the extra `ray`."""

from pointcmt_serve.ray.deployment import app, deployment

__all__ = ["app", "deployment"]
