"""KServe's own client, where it is installed (it pins an older protobuf than the exporter's).

The server runs apart: both bring message classes of the protocol, which one process cannot hold.
"""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.reference.tiny_student import reference_logits
from tests.serve.http.test_command import Command, serving

kserve = pytest.importorskip("kserve", reason="kserve is not installed")


@pytest.fixture(scope="module")
def grpc_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def server(
    tiny_folder: Path, grpc_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Command]:
    log = tmp_path_factory.mktemp("kserve") / "log"
    words = (f"tiny={tiny_folder}", "--port", 0, "--grpc-port", grpc_port)
    with serving(log, *words) as command:
        yield command


def request(clouds: NDArray[np.float32], binary: bool) -> Any:
    tensor = kserve.InferInput("points", list(clouds.shape), "FP32")
    tensor.set_data_from_numpy(clouds, binary_data=binary)
    return kserve.InferRequest("tiny", [tensor], request_id="42")


@pytest.mark.parametrize("binary", [True, False])
def test_over_rest(server: Command, clouds: NDArray[np.float32], binary: bool) -> None:
    async def ask() -> Any:
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2"))
        url = f"http://127.0.0.1:{server.port}"
        assert await client.is_server_live(url)
        assert await client.is_server_ready(url)
        assert await client.is_model_ready(url, "tiny")
        return await client.infer(url, request(clouds, binary), model_name="tiny")

    answer = asyncio.run(ask())
    assert answer.id == "42"
    logits = next(output for output in answer.outputs if output.name == "logits")
    np.testing.assert_allclose(logits.as_numpy(), reference_logits(clouds), atol=1e-5)


def test_over_grpc(server: Command, grpc_port: int, clouds: NDArray[np.float32]) -> None:
    async def ask() -> Any:
        client = kserve.InferenceGRPCClient(f"127.0.0.1:{grpc_port}", verbose=False)
        try:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("tiny")
            return await client.infer(request(clouds, binary=True))
        finally:
            await client.close()

    answer = asyncio.run(ask())
    logits = next(output for output in answer.outputs if output.name == "logits")
    np.testing.assert_allclose(logits.as_numpy(), reference_logits(clouds), atol=1e-5)
