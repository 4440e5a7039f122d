"""The gRPC server, on the event loop of the other."""

from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc
from tritonclient.grpc import service_pb2_grpc

from pointcmt.errors import InputError
from pointcmt_serve.http.grpc.health import Health
from pointcmt_serve.http.grpc.servicer import Servicer
from pointcmt_serve.http.service import Service


async def start_grpc(
    service: Service, address: str, tls: tuple[Path, Path] | None
) -> grpc.aio.Server:
    """Start to answer gRPC calls.

    Args:
        service: what answers.
        address: "host:port".
        tls: certificate chain and private key, PEM files; None for plain text.

    Raises:
        InputError: the address cannot be listened on.
    """
    limits = service.settings.limits
    server = grpc.aio.server(
        maximum_concurrent_rpcs=limits.connections,
        options=[
            ("grpc.max_receive_message_length", limits.body),
            ("grpc.max_metadata_size", limits.headers),
        ],
    )
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(service), server)
    health_pb2_grpc.add_HealthServicer_to_server(Health(service), server)
    try:
        if tls is None:
            server.add_insecure_port(address)
        else:
            chain, key = (file.read_bytes() for file in tls)
            server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    except (RuntimeError, OSError) as error:
        raise InputError(f"{address} cannot be listened on for gRPC") from error
    await server.start()
    return server
