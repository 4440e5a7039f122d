"""The written repository in a real Triton, for raw clouds.

Triton comes with a wheel; its Python backend wants numpy 1, so it has an environment of its own:

    python -m venv triton
    triton/bin/pip install '.[serve]' 'numpy<2' && triton/bin/pip install --no-deps nvidia-pytriton
    POINTCMT_TRITON=triton python -m pytest tests/export/test_triton_server.py

That Triton has the Python backend alone, so the network runs there, too; its own onnxruntime and
TensorRT stay untried.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tritonclient import http
from tritonclient.utils import InferenceServerException

from pointcmt_export.formats.triton import Serving, write_repository
from pointcmt_serve import Classifier
from tests.reference.tiny_student import CLASSES, METADATA, POINTS, tiny_model

PLACE = os.environ.get("POINTCMT_TRITON")
pytestmark = pytest.mark.skipif(PLACE is None, reason="POINTCMT_TRITON names no Triton")


def command(place: Path, room: Path) -> tuple[list[str], dict[str, str]]:
    """How Triton is started from the wheel in an environment, and with which variables."""
    (packages,) = (place / "lib").glob("python3*/site-packages")
    parts, version = packages / "pytriton" / "tritonserver", packages.parent.name[6:]
    backend = shutil.copytree(parts / "backends" / "python", room / "backends" / "python")
    stub = parts / "python_backend_stubs" / version / "triton_python_backend_stub"
    for program in (shutil.copy(stub, backend), parts / "bin" / "tritonserver"):
        Path(program).chmod(0o755)
    asked = [str(place / "bin" / "python"), "-c"]
    asked += ["import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
    python = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    environment = os.environ | {
        "LD_LIBRARY_PATH": f"{packages / 'nvidia_pytriton.libs'}:{python}",
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
    }
    words = [f"--backend-directory={room / 'backends'}", "--allow-grpc=false"]
    words += ["--allow-metrics=false", "--http-address=127.0.0.1"]
    return [str(parts / "bin" / "tritonserver"), *words], environment


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    onnx.save(tiny_model(METADATA), folder / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def client(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    room = tmp_path_factory.mktemp("triton")
    serving = Serving(device="cpu")
    write_repository(
        exported, room / "models", payload="python", clouds="raw", name="tiny", serving=serving
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words, environment = command(Path(PLACE or "").absolute(), room)
    words += [f"--model-repository={room / 'models'}", f"--http-port={port}"]
    with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            with http.InferenceServerClient(f"127.0.0.1:{port}") as found:
                wait_until_ready(process, found)
                yield found
        finally:
            process.terminate()


def wait_until_ready(process: subprocess.Popen[bytes], client: Any) -> None:
    end = time.monotonic() + 60
    while True:
        assert process.poll() is None, "Triton ended"
        assert time.monotonic() < end, "Triton does not get ready"
        with suppress(OSError, InferenceServerException):
            if client.is_server_ready():
                return
        time.sleep(0.1)


def infer(client: Any, clouds: np.ndarray, classes: int = 0) -> Any:
    tensor = http.InferInput("points", list(clouds.shape), "FP32")
    tensor.set_data_from_numpy(clouds)
    outputs = [http.InferRequestedOutput("logits", class_count=classes)]
    return client.infer("tiny", [tensor], outputs=outputs).as_numpy("logits")


@pytest.mark.parametrize("points", [5, POINTS, 40 * POINTS])
def test_raw_clouds_are_answered_as_by_the_classifier(
    client: Any, exported: Path, points: int
) -> None:
    clouds = (np.random.default_rng(0).normal(size=(3, points, 3)) * 90).astype(np.float32)
    expected = Classifier(exported)(clouds)
    found = infer(client, clouds)
    np.testing.assert_allclose(found, [p.logits for p in expected], atol=1e-5)
    best = infer(client, clouds, classes=1)[:, 0]
    assert [text.decode().split(":")[2] for text in best] == [p.label for p in expected]
    assert {p.label for p in expected} <= set(CLASSES)


def test_a_bad_cloud_is_one_sentence(client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"cloud 0: .*two different"):
        infer(client, np.zeros((1, 9, 3), np.float32))
