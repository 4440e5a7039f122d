"""The figures and facts that a run writes down are those that it measured and was given."""

import json
from pathlib import Path

import pytest
import torch

from pointcmt.metrics import Accuracy
from pointcmt_training import inputs, loop, run
from pointcmt_training.folder import RunFolder
from pointcmt_training.recipe import load_config
from pointcmt_training.stages.student import train_student
from tests.training import made
from tests.training.tiny import TINY


def test_the_model_folder_states_the_datas_rule_and_both_accuracies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = inputs.open_dataset

    def boxed(*words: object, **named: object) -> object:
        dataset = opened(*words, **named)  # type: ignore[arg-type]
        dataset.normalization = "unit-box"
        return dataset

    uneven = Accuracy(torch.tensor([[9, 1], [1, 1]]))  # 10 of 12, and 0.9 and 0.5
    monkeypatch.setattr(inputs, "open_dataset", boxed)
    monkeypatch.setattr(run, "student_accuracy", lambda *_: uneven)
    train_whole = run.train_student
    monkeypatch.setattr(run, "train_student", lambda *words: train_whole(*words) * 3)
    run.run(load_config("shapes", [*TINY, "method=none", "training.epochs=1"]), tmp_path)
    stated = json.loads((tmp_path / "student" / "config.json").read_text())
    assert stated["normalization"] == "unit-box"
    assert stated["provenance"]["epochs"] == 3  # as many as there were, not as were asked for
    assert stated["provenance"]["overall accuracy"] == pytest.approx(10 / 12, abs=1e-4)
    assert stated["provenance"]["mean class accuracy"] == pytest.approx(0.7)


def test_a_schedule_sees_the_losses_of_all_epochs_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []
    set_rates = loop.set_rates

    def noted(*words: object) -> None:
        seen.append(list(words[-1]))  # type: ignore[call-overload]
        set_rates(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "set_rates", noted)
    config = made.settings("method=none", "training.evaluations=0")
    student = made.student()
    given = made.inputs(config)
    records = train_student(config, given, RunFolder(tmp_path), student, None)  # type: ignore[arg-type]
    losses = [record["loss"] for record in records]
    assert [past for i, past in enumerate(seen) if not i or past != seen[i - 1]] == [
        losses[:epoch] for epoch in range(3)
    ]
