"""The Open Inference Protocol over gRPC; needs the extra `grpc`."""

from pointcmt_serve.http.grpc.server import start_grpc

__all__ = ["start_grpc"]
