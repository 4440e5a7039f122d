"""Ray Serve and Ray Data, started for real, where Ray is installed."""

import json
import os
import runpy
import signal
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt_serve.http.settings import Batching
from tests.reference.tiny_student import CLASSES, reference_logits

ROOT = Path(__file__).parents[2]
PORT = 8971
pytestmark = pytest.mark.timeout(600)


def post(clouds: NDArray[Any]) -> tuple[int, Any]:
    data = clouds.ravel().tolist()
    tensor = {"name": "points", "shape": list(clouds.shape), "datatype": "FP32", "data": data}
    connection = HTTPConnection("127.0.0.1", PORT, timeout=30)
    try:
        connection.request("POST", "/v2/models/tiny/infer", json.dumps({"inputs": [tensor]}))
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def workers() -> Iterator[int]:
    """The processes of this test's cluster that hold a classifier."""
    for status in Path("/proc").glob("[0-9]*"):
        try:
            words = (status / "cmdline").read_bytes()
            ours = parent(parent(int(status.name))) == os.getpid()
        except OSError:  # it ended meanwhile
            continue
        if ours and words.startswith(b"ray::") and b"Classify" in words:
            yield int(status.name)


def test_replicas_of_ray_serve_answer_the_protocol(
    local_ray: Any, model: Path, clouds: NDArray[np.float32]
) -> None:
    from ray import serve

    from pointcmt_serve.ray import app

    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(app({"tiny": str(model), "fewest": "2", "most": "3", "cpus": "0.5"}))
    try:
        status = serve.status().applications["default"].deployments["pointcmt"]
        assert status.replica_states == {"RUNNING": 2}
        expected = reference_logits(clouds)
        answers: list[Any] = []
        threads = [threading.Thread(target=lambda: answers.append(post(clouds))) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 24
        for status_, answer in answers:
            assert status_ == 200
            logits = np.reshape(answer["outputs"][0]["data"], (5, len(CLASSES)))
            np.testing.assert_allclose(logits, expected, atol=1e-5)
        refused, answer = post(np.zeros((1, 9, 3)))
        assert (refused, "two different" in answer["error"]) == (400, True)
    finally:
        serve.shutdown()


def test_a_cloud_that_the_network_refuses_spoils_no_other_request() -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    from pointcmt_serve.ray.batches import RayBatches

    class Refusing:
        """Answers a cloud with its first number, and refuses batches with a negative one."""

        def prepare(self, points: Any, name: str) -> Any:
            if not len(points):
                raise InputError(f"{name}: no points")
            return points

        def predict(self, clouds: Any, verticals: Any = None) -> Any:
            if clouds.min() < 0:
                raise InputError("below zero")
            return clouds[:, 0, 0].tolist()

    class Seen:
        counts: ClassVar[list[int]] = []

        def batch(self, clouds: int, preparation: float, network: float) -> None:
            self.counts.append(clouds)

    batches = RayBatches(Refusing(), Batching(), 1, Seen())
    clouds = [np.full((4, 3), 7.0), np.zeros((0, 3)), np.full((4, 3), -1.0), np.full((4, 3), 8.0)]
    answers = batches._classify([(str(i), cloud, None) for i, cloud in enumerate(clouds)])
    assert [answers[0], answers[3]] == [7, 8]
    assert [str(answer) for answer in answers[1:3]] == ["1: no points", "below zero"]
    assert Seen.counts == [3]


def test_ray_data_answers_every_file_once_though_a_worker_is_killed(
    local_ray: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 10_000
    generator = np.random.default_rng(0)
    folder = tmp_path / "clouds"
    folder.mkdir()
    for i in range(count):
        np.save(folder / f"{i}.npy", generator.normal(size=(16, 3)).astype(np.float32))
    (folder / "broken.npy").write_bytes(b"no array")
    example = runpy.run_path(str(ROOT / "examples" / "ray" / "classify_files.py"))
    killed: list[int] = []

    def kill_one() -> None:
        """End the first worker process that classifies, as soon as there is one."""
        end = time.monotonic() + 120
        while not killed and time.monotonic() < end:
            for worker in workers():
                time.sleep(1)
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_one)
    killer.start()
    example["main"](str(model), str(folder), str(tmp_path / "answers"))
    killer.join()
    assert killed
    table = local_ray.data.read_parquet(str(tmp_path / "answers")).to_pandas()
    names = [Path(path).name for path in table["path"]]
    assert sorted(names) == sorted([*(f"{i}.npy" for i in range(count)), "broken.npy"])
    failed = table[table["error"] != ""]
    assert [Path(path).name for path in failed["path"]] == ["broken.npy"]
    assert set(table[table["error"] == ""]["label"]) <= set(CLASSES)
