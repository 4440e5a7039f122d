"""The gRPC server, on the event loop of the other."""

import asyncio
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc
from tritonclient.grpc import service_pb2_grpc

from pointcmt.errors import InputError
from pointcmt_serve.http.grpc.entrance import Entrance
from pointcmt_serve.http.grpc.health import Health
from pointcmt_serve.http.grpc.rooms import largest
from pointcmt_serve.http.grpc.servicer import Servicer
from pointcmt_serve.http.service import Service


class GrpcServer:
    """A server that is started."""

    def __init__(self, server: grpc.aio.Server, stopping: asyncio.Event) -> None:
        """Make one of gRPC's; `stopping` ends its streams."""
        self._server = server
        self._stopping = stopping

    async def stop(self, grace: float) -> None:
        """End streams behind the answer under way; all calls have `grace` seconds."""
        self._stopping.set()
        await self._server.stop(grace)


async def start_grpc(service: Service, address: str, tls: tuple[Path, Path] | None) -> GrpcServer:
    """Start to answer gRPC calls.

    Args:
        service: what answers.
        address: "host:port".
        tls: certificate chain and private key, PEM files; None for plain text.

    Raises:
        InputError: the address cannot be listened on.
    """
    limits = service.settings.limits
    entrance = Entrance(service)
    server = grpc.aio.server(
        interceptors=[entrance],
        maximum_concurrent_rpcs=limits.connections,
        options=[
            ("grpc.max_receive_message_length", largest(limits)),
            ("grpc.max_metadata_size", limits.headers),
            ("grpc.http2.bdp_probe", 0),  # it lets connections send more ahead of a message's turn
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
    return GrpcServer(server, entrance.stopping)
