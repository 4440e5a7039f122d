"""Where a model's engine, device and threads come from."""

import json
from pathlib import Path
from typing import Any

import pytest

from pointcmt.errors import InputError
from pointcmt_serve.classifier import Classifier
from pointcmt_serve.commands.serve import main
from pointcmt_serve.http import Batching, Limits
from pointcmt_serve.http.launch import read_settings
from pointcmt_serve.http.models import served
from pointcmt_serve.http.models.folders import options
from pointcmt_serve.http.service import Service
from tests.serve.http.folders import write


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The threads and the device that each classifier was opened with."""
    found: list[Any] = []

    def opening(folder: Path, **chosen: Any) -> Classifier:
        found.append((chosen.get("threads"), chosen.get("device")))
        return Classifier(folder, **chosen)

    monkeypatch.setattr(served, "Classifier", opening)
    return found


@pytest.mark.parametrize("said", [{}, {"threads": 2}])
@pytest.mark.parametrize("given", [(), ("--threads", "3", "--device", "cpu")])
@pytest.mark.parametrize("place", ["repository", "command", "word"])
def test_what_is_said_of_one_model_comes_first(
    tmp_path: Path,
    opened: list[Any],
    place: str,
    given: tuple[str, ...],
    said: dict[str, int],
) -> None:
    write(tmp_path / "model")
    (tmp_path / "model" / "serving.json").write_text(json.dumps(said))
    words = {
        "repository": ("--repository", str(tmp_path)),
        "command": (f"a={tmp_path / 'model'}",),
        "word": (f"a={tmp_path / 'model'},threads=1",),
    }[place]
    told = dict(main.make_context("pointcmt-serve", [*words, *given]).params)
    service = Service(read_settings(told.pop("models"), told))
    service.models.start()
    for model in service.models.served():
        model.close()
    threads = 1 if place == "word" else said.get("threads", 3 if given else None)
    assert opened[0] == (threads, "cpu" if given else None)


def test_every_number_of_the_command_reaches_its_place_in_its_unit() -> None:
    words = (
        "--batch=3 --delay=5 --concurrent=4 --queue=6 --deadline=7 --max-body=8 --max-memory=9 "
        "--file-memory=300 --max-clouds=10 --max-connections=11 --header-timeout=12 "
        "--body-timeout=13 --grace=14 --poll=15"
    )
    told = dict(main.make_context("pointcmt-serve", words.split()).params)
    settings, mib = read_settings(told.pop("models"), told), 2**20
    assert settings.batching == Batching(size=3, delay=0.005, workers=4, queue=6)
    assert settings.limits == Limits(
        body=8 * mib,
        memory=9 * mib,
        clouds=10,
        connections=11,
        header_seconds=12,
        body_seconds=13,
        deadline=7,
        file_memory=300 * mib,
    )
    assert (settings.grace, settings.poll) == (14, 15)


def test_a_folder_may_not_ask_for_less_than_no_threads(tmp_path: Path) -> None:
    (tmp_path / "serving.json").write_text(json.dumps({"threads": -5}))
    with pytest.raises(InputError, match="threads is -5"):
        options(tmp_path)
