"""What an operator looks at: metrics, the access log, traces, and whether the server is ready."""

from pointcmt_serve.http.operations.lifecycle import Lifecycle
from pointcmt_serve.http.operations.metrics import Metrics

__all__ = ["Lifecycle", "Metrics"]
