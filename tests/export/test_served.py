"""What is verified is what is served: the gate sees what sessions give, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from pointcmt.data import Shapes
from pointcmt_export.convert.to_onnx import Converted
from pointcmt_export.verify import Clouds, failed, gate, open_data
from pointcmt_export.verify.accuracy import accuracy_checks
from pointcmt_export.verify.check import EXACT
from pointcmt_export.verify.gate import Expectation, served_checks
from pointcmt_serve.engines import Outputs, Session, onnxruntime
from tests.reference.small_students import small_config

Made = tuple[Path, Expectation, Clouds]


@pytest.fixture(scope="module")
def made(
    converted: tuple[Converted, Expectation], tmp_path_factory: pytest.TempPathFactory
) -> Made:
    """A converted student, written as the exporter does, and what it must be."""
    graph, expected = converted
    folder = tmp_path_factory.mktemp("served")
    onnx.save(graph.model, folder / "model.onnx")
    return folder, expected, open_data(None, expected.config)


def faults(made: Made) -> set[str]:
    return {check.name for check in failed(served_checks(made[0], "onnxruntime", *made[1:]))}


def test_every_check_names_the_engine_that_was_run(made: Made) -> None:
    checks = served_checks(made[0], "onnxruntime", *made[1:])
    assert {check.engine for check in checks} == {"onnxruntime"}
    assert not failed(checks)


@pytest.mark.parametrize(
    ("error", "caught"),
    [
        (lambda given: replace(given, logits=given.logits + 1e-3), {"logits"}),
        (lambda given: replace(given, logits=-given.logits), {"logits", "argmax"}),
        (lambda given: replace(given, logits=given.logits * np.nan), {"logits", "argmax"}),
    ],
    ids=["shifted", "turned", "not a number"],
)
def test_an_error_of_the_session_alone_is_caught(
    made: Made, monkeypatch: pytest.MonkeyPatch, error: Callable[[Outputs], Outputs], caught: Any
) -> None:
    """The file is right; what serving makes of it is not."""
    honest = Session.run
    monkeypatch.setattr(Session, "run", lambda *a, **b: error(honest(*a, **b)))
    assert faults(made) == caught


def test_the_twin_tells_indices_and_nothing_else(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logits of the twin may be anything; those of the shipped file may not."""
    honest, shipped = gate.open_session, made[0]

    def opened(path: Any, *rest: Any) -> Session:
        session = honest(path, *rest)
        if Path(path) != shipped:
            run = session._run
            session._run = lambda *a: {**run(*a), "logits": np.zeros((1, 1))}  # type: ignore[method-assign]
        return session

    monkeypatch.setattr(gate, "open_session", opened)
    assert faults(made) == set()


def test_a_wrong_index_in_the_graph_is_caught(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = onnxruntime.OnnxSession._run

    def wrong(session: Any, inputs: Any, indices: bool) -> dict[str, NDArray[Any]]:
        given = honest(session, inputs, indices)
        if "ball_query_0" in given:
            given["ball_query_0"] = given["ball_query_0"][:, ::-1]
        return given

    monkeypatch.setattr(onnxruntime.OnnxSession, "_run", wrong)
    assert faults(made) == {"indices"}


def test_files_that_the_engine_cannot_run_are_a_failed_check(made: Made, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes((made[0] / "model.onnx").read_bytes()[:-200])
    (check,) = served_checks(tmp_path, "onnxruntime", *made[1:])
    assert (check.name, check.status) == ("runs", "failed")


@pytest.mark.parametrize(("least", "status"), [(None, "passed"), (1e-6, "passed"), (1e6, "failed")])
def test_speed_is_reported_and_asked_for_where_wanted(least: float | None, status: str) -> None:
    data = Shapes("test", per_class=3, points=48)
    config = replace(small_config("pointnet"), classes=data.classes)
    calls: list[str] = []

    def runner(name: str) -> Any:
        def run(points: NDArray[np.float32], indices: bool) -> Outputs:
            calls.append(name)
            return Outputs(np.zeros((len(points), len(data.classes)), np.float32))

        return run

    limits = replace(EXACT, speedup=least)
    found = Clouds(data, data, config)
    accuracy, speed = accuracy_checks(runner("torch"), runner("engine"), found, limits)
    assert (accuracy.status, speed.status) == ("passed", status)
    rates = speed.figures["samples_per_s"]
    assert speed.figures["speedup"] == pytest.approx(rates["artefact"] / rates["checkpoint"])
    # 36 clouds are two batches; each contender sees the first twice more, before the clock starts
    assert calls == [*["torch"] * 3, *["engine"] * 3, "torch", "engine"]
