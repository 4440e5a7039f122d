"""Which epoch is kept: its weights are compared, not its name."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pointcmt.errors import InputError
from pointcmt.metrics import Accuracy
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs import Inputs
from pointcmt_training.inputs.split import Split
from pointcmt_training.stages import student as stage
from tests.training import made

SCRIPT = [0.3, 0.9, 0.5, 0.9, 0.1]  # the second epoch is the first of the best


class Measured:
    """Stands for the accuracy of each epoch, as scripted; keeps the weights it was asked about."""

    def __init__(self, script: list[float]) -> None:
        self.script, self.splits = list(script), []  # type: ignore[var-annotated]
        self.weights: list[dict[str, torch.Tensor]] = []

    def __call__(self, student: made.PooledStudent, split: Split) -> Accuracy:
        right = round(100 * self.script.pop(0))
        few = 0 if right > 80 else 10  # so that the mean of both classes is best elsewhere
        self.splits.append(split)
        self.weights.append({k: t.clone() for k, t in student.state_dict().items()})
        return Accuracy(torch.tensor([[right - few, 100 - right - (10 - few)], [10 - few, few]]))


def config(selection: str, *overrides: str) -> Config:
    return made.settings(
        "method=none",
        "training.epochs=5",
        "training.evaluations=5",
        "protocol=paper" if selection == "paper" else f"training.selection={selection}",
        *overrides,
    )


def train(
    chosen: Config, folder: Path, monkeypatch: pytest.MonkeyPatch, script: list[float]
) -> tuple[made.PooledStudent, Measured, Inputs, Any]:
    measured, inputs, student = Measured(script), made.inputs(chosen), made.student()
    monkeypatch.setattr(stage, "student_accuracy", measured)
    records = stage.train_student(chosen, inputs, RunFolder(folder), student, None)  # type: ignore[arg-type]
    return student, measured, inputs, records


@pytest.mark.parametrize(
    ("selection", "kept", "split"),
    [("last", 5, "test"), ("validation", 2, "validation"), ("paper", 2, "test")],
)
def test_the_kept_weights_are_those_of_the_selected_epoch(
    selection: str, kept: int, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, measured, inputs, records = train(config(selection), tmp_path, monkeypatch, SCRIPT)
    assert all(seen is getattr(inputs, split) for seen in measured.splits)
    assert [record[f"{split}_accuracy"] for record in records] == pytest.approx(SCRIPT)
    expected = measured.weights[kept - 1]
    assert all(torch.equal(t, expected[k]) for k, t in student.state_dict().items())
    others = [w for i, w in enumerate(measured.weights) if i != kept - 1]
    assert not any(torch.equal(w["layer.weight"], expected["layer.weight"]) for w in others)
    assert not student.training


@pytest.mark.parametrize("dies", [3, 5])
def test_a_resumed_run_still_knows_the_best_epoch(
    dies: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config("validation")
    with monkeypatch.context() as patch:
        made.interrupt_at(dies, patch)
        with pytest.raises(made.Interrupted):
            train(chosen, tmp_path / "killed", patch, SCRIPT)
    _, measured, _, _ = train(chosen, tmp_path / "whole", monkeypatch, SCRIPT)
    student, *_ = train(chosen, tmp_path / "killed", monkeypatch, SCRIPT[dies - 1 :])
    expected = measured.weights[1]
    assert all(torch.equal(t, expected[k]) for k, t in student.state_dict().items())


@pytest.mark.parametrize(
    ("selection", "patience", "split"),
    [("paper", 0, "test"), ("validation", 0, "validation"), ("last", 3, "validation")],
)
def test_what_chooses_an_epoch_looks_at_every_one(
    selection: str, patience: int, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["training.evaluations=1", f"training.early_stop={patience}"]
    *_, records = train(config(selection, *asked), tmp_path, monkeypatch, SCRIPT)
    assert len(records) == 5
    assert all(f"{split}_accuracy" in record for record in records)


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (3, 5), (0, 5)])
def test_training_stops_when_validation_has_not_risen_for_so_long(
    patience: int, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config("validation", f"training.early_stop={patience}")
    student, measured, inputs, records = train(chosen, tmp_path, monkeypatch, SCRIPT)
    assert len(records) == epochs
    assert all(seen is inputs.validation for seen in measured.splits)
    kept = measured.weights[1]
    assert all(torch.equal(t, kept[k]) for k, t in student.state_dict().items())


def test_a_run_that_stopped_early_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config("last", "training.early_stop=1")
    *_, first = train(chosen, tmp_path, monkeypatch, SCRIPT)
    *_, second = train(chosen, tmp_path, monkeypatch, [])
    assert first == second


@pytest.mark.parametrize(("evaluations", "epochs"), [(2, [2, 4, 5]), (0, [5]), (1, [5])])
def test_the_held_out_split_is_measured_so_often(
    evaluations: int, epochs: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config("last", f"training.evaluations={evaluations}")
    *_, records = train(chosen, tmp_path, monkeypatch, [0.5] * 5)
    assert [r["epoch"] for r in records if "test_accuracy" in r] == epochs


def test_the_papers_protocol_does_not_stop_by_the_validation_split() -> None:
    with pytest.raises(InputError, match=r"leave training\.early_stop"):
        config("paper", "training.early_stop=1")


def test_a_control_has_no_generator_to_fit() -> None:
    assert made.settings("method=none", "data.points=8").data.points == 8
