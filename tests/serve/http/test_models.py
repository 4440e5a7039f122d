"""Several models, their versions, and folders that change under a running server."""

import gc
import json
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from pointcmt.files import write_beside
from pointcmt_serve.http import ModelSource, Settings
from tests.reference.tiny_student import METADATA, tiny_model
from tests.serve.http.folders import POLL, wait_for, write
from tests.serve.http.running import GOOD, Running, multipart, running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("repository")
    write(place / "plain")
    write(place / "versions" / "9")
    write(place / "versions" / "10", scale=2)
    write(place / "named", student="my_package.my_module:MyNet")
    (place / "no model").mkdir()
    (place / ".hidden").mkdir()
    return place


@pytest.fixture(scope="module")
def server(tiny: Settings, place: Path) -> Iterator[Running]:
    odd = (ModelSource("my model", place / "plain"), ModelSource(None, place / "named"))
    with running(replace(tiny, models=odd, repository=place, poll=POLL)) as found:
        yield found


def logits(server: Running, path: str) -> list[float]:
    status, answer = server.infer({"inputs": [GOOD]}, f"/v2/models/{path}/infer")
    assert status == 200, answer
    return list(answer["outputs"][0]["data"])


def test_each_folder_of_a_repository_is_a_model(server: Running) -> None:
    _, index = server.json("POST", "/v2/repository/index", {})
    names = {(model["name"], model["version"]) for model in index}
    assert names == {
        ("plain", "1"), ("named", "1"), ("versions", "9"), ("versions", "10"),
        ("my model", "1"), ("my_package.my_module:MyNet", "1"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", ["my%20model", "my_package.my_module:MyNet", "my_package.my_module%3AMyNet"]
)
def test_any_name_can_be_called(server: Running, path: str) -> None:
    assert len(logits(server, path)) == 4


def test_the_newest_version_answers_who_names_none(server: Running) -> None:
    old, new = logits(server, "versions/versions/9"), logits(server, "versions/versions/10")
    assert old != new
    assert logits(server, "versions") == new
    _, described = server.json("GET", "/v2/models/versions")
    assert described["versions"] == ["9", "10"]
    status, answer = server.json("GET", "/v2/models/versions/versions/11")
    assert (status, "'11'" in answer["error"]) == (404, True)


def test_a_changed_folder_is_taken_over_without_a_lost_request(
    server: Running, place: Path
) -> None:
    write(place / "changing")
    wait_for(lambda: server.ask("GET", "/v2/models/changing/ready")[0] == 200)
    before, failed, stop = logits(server, "changing"), [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            status, answer = server.infer({"inputs": [GOOD]}, "/v2/models/changing/infer")
            if status != 200:
                failed.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for scale in (3, 4, 5):
        write(place / "changing", scale=scale)
        wait_for(lambda old=before: logits(server, "changing") != old)
        before = logits(server, "changing")
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_broken_folder_leaves_what_was_there(server: Running, place: Path) -> None:
    write(place / "breaking")
    wait_for(lambda: server.ask("GET", "/v2/models/breaking/ready")[0] == 200)
    before = logits(server, "breaking")
    (place / "breaking" / "model.onnx").write_bytes(b"no model")

    def noticed() -> bool:
        status, answer = server.json("POST", "/v2/repository/models/breaking/load", {})
        return status == 400 and "ONNX" in answer["error"]

    wait_for(noticed)
    assert logits(server, "breaking") == before
    (place / "breaking" / "model.onnx").unlink()
    (place / "breaking").rmdir()
    wait_for(lambda: server.ask("GET", "/v2/models/breaking/ready")[0] == 404)


def test_a_model_is_unloaded_and_loaded_again(server: Running) -> None:
    load, unload = (f"/v2/repository/models/named/{what}" for what in ("load", "unload"))
    assert server.json("POST", unload, {}) == (200, {})
    status, answer = server.infer({"inputs": [GOOD]}, "/v2/models/named/infer")
    assert (status, "not ready" in answer["error"]) == (404, True)
    model = server.service.models._models["named"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "refresh", lambda **_: time.sleep(0.5) or [])
        thread = threading.Thread(target=server.json, args=("POST", load, None))
        thread.start()
        wait_for(lambda: model.wanted)
        assert server.ask("GET", "/v2/health/ready")[0] == 200  # the others answer all along
        thread.join()
    assert server.json("POST", load, None)[0] == 200
    assert len(logits(server, "named")) == 4
    assert server.json("POST", load.replace("named", "other"), {})[0] == 404
    assert server.json("POST", load, {"parameters": {"config": "{}"}})[0] == 400


def test_who_looks_for_changes_leaves_an_unloaded_model_alone(server: Running, place: Path) -> None:
    assert server.json("POST", "/v2/repository/models/plain/unload", {}) == (200, {})
    write(place / "plain", scale=7)  # a change that would be taken over
    for name in ("seen", "seen again"):  # the folders are looked at in turn, again and again
        write(place / name)
        path = f"/v2/models/{name.replace(' ', '%20')}/ready"
        wait_for(lambda path=path: server.ask("GET", path)[0] == 200)
    assert server.ask("GET", "/v2/models/plain/ready")[0] == 404
    assert server.json("POST", "/v2/repository/models/plain/load", {})[0] == 200
    assert len(logits(server, "plain")) == 4


def test_no_client_loads_where_that_is_forbidden(tiny: Settings) -> None:
    with running(replace(tiny, fixed="several serve here")) as server:
        answer = server.json("POST", "/v2/repository/models/tiny/unload", {})
        assert answer == (403, {"error": "several serve here"})
        assert server.ask("GET", "/v2/models/tiny/ready")[0] == 200


def test_a_folder_says_how_it_is_run(tiny: Settings, tmp_path: Path) -> None:
    write(tmp_path / "one")
    (tmp_path / "one" / "serving.json").write_text(json.dumps({"device": "cpu", "threads": 1}))
    write(tmp_path / "two")
    (tmp_path / "two" / "serving.json").write_text(json.dumps({"color": "red"}))
    with running(replace(tiny, models=(), repository=tmp_path)) as server:
        _, config = server.json("GET", "/v2/models/one/config")
        assert config["instance_group"][0]["kind"] == "KIND_CPU"
        _, index = server.json("POST", "/v2/repository/index", {})
        assert [model["state"] for model in index] == ["READY", "UNAVAILABLE"]
        assert "color" in index[1]["reason"]
        assert server.ask("GET", "/v2/health/ready")[0] == 200


def test_a_cloud_is_turned_to_the_models_vertical_axis(tiny: Settings, tmp_path: Path) -> None:
    """The student says z; the same object with y up is told by the parameter or the form."""
    with write_beside(tmp_path / "upright") as fresh:
        fresh.mkdir()
        onnx.save(tiny_model(METADATA | {"pointcmt.up": json.dumps("z")}), fresh / "model.onnx")
    standing = np.array(GOOD["data"]).reshape(8, 3)
    lying = standing[:, [0, 2, 1]] * [1, 1, -1]  # (x, y, z) with z up is (x, z, -y) with y up
    with running(replace(tiny, models=(), repository=tmp_path)) as server:

        def ask(points: NDArray[np.float64], up: str | None) -> list[float]:
            tensor = GOOD | {"data": points.ravel().tolist()}
            request = {"inputs": [tensor], "parameters": {"up": up}}
            status, answer = server.infer(request, "/v2/models/upright/infer")
            assert status == 200, answer
            return list(answer["outputs"][0]["data"])

        upright = ask(standing, None)
        assert ask(lying, "y") == pytest.approx(upright, abs=1e-5)
        assert ask(lying, None) != pytest.approx(upright, abs=1e-5)
        assert ask(standing, "z") == pytest.approx(upright, abs=1e-5)
        np.save(tmp_path / "lying.npy", lying)
        form = multipart({"up": "y"}, {"lying.npy": (tmp_path / "lying.npy").read_bytes()})
        status, _, answer = server.ask("POST", "/classify", *form)
        (record,) = json.loads(answer)["answers"]
        assert (status, record["up"]) == (200, {"axis": "y", "known": "stated"})
        assert record["logits"] == pytest.approx(upright, abs=1e-5)
        form = multipart({"up": "w"}, {"lying.npy": b""})
        assert server.ask("POST", "/classify", *form)[0] == 400


def test_what_is_served_no_more_leaves_the_memory(server: Running, place: Path) -> None:
    write(place / "leaving")
    wait_for(lambda: server.ask("GET", "/v2/models/leaving/ready")[0] == 200)
    assert len(logits(server, "leaving")) == 4
    before = weakref.ref(server.service.models.get("leaving"))
    gc.collect()
    gc.disable()  # which may come late, or never where little else is made
    try:
        write(place / "leaving", scale=2)
        wait_for(lambda: before() is None)
        after = weakref.ref(server.service.models.get("leaving"))
        assert server.json("POST", "/v2/repository/models/leaving/unload", {}) == (200, {})
        wait_for(lambda: after() is None)
    finally:
        gc.enable()
