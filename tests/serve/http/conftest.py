from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from pointcmt_serve.http import Batching, Limits, ModelSource, Settings
from tests.reference.tiny_student import METADATA, tiny_model
from tests.serve.http.calling import calls, free_port
from tests.serve.http.running import Running, running

LIMITS = Limits(body=200_000, clouds=100, header_seconds=1.0, body_seconds=1.0, write_seconds=1.0)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder with the tiny student."""
    folder = tmp_path_factory.mktemp("tiny")
    onnx.save(tiny_model(METADATA), folder / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Settings:
    """A server of the tiny student whose limits are small."""
    source = ModelSource("tiny", tiny_folder, {"threads": 1})
    return Settings(models=(source,), limits=LIMITS, batching=Batching(workers=2), poll=0)


@pytest.fixture(scope="module")
def server(tiny: Settings) -> Iterator[Running]:
    """One server for all tests of a module."""
    with running(tiny) as found:
        yield found


@pytest.fixture(scope="module")
def port() -> int:
    """A port for gRPC, on which the `server` of a module may listen."""
    return free_port()


@pytest.fixture
def stub(server: Running, port: int) -> Iterator[Any]:
    """gRPC's calls of the module's `server`, over a connection of the test's own."""
    with calls(port) as found:
        yield found
