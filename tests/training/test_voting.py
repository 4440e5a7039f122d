"""Voting beside its formula written out, and how it is told apart from the plain figure."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pointcmt.data.augment import Augmentation
from pointcmt.errors import InputError
from pointcmt.metrics import Accuracy
from pointcmt_training import run as running
from pointcmt_training import voting
from pointcmt_training.reading import read_json
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from tests.training import made
from tests.training.tiny import TINY


@pytest.fixture(scope="module")
def split() -> made.Split:
    return made.split(9, 2, made.settings().views)


def probabilities(student: nn.Module, clouds: Tensor) -> np.ndarray:
    with torch.no_grad():
        logits = student(clouds).double().numpy()
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def share(votes: np.ndarray, split: made.Split) -> float:
    return float((votes.argmax(1) == split.labels.numpy()).mean())


def test_votes_are_averaged_as_probabilities_and_the_first_sees_the_plain_cloud(
    split: made.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    change = Augmentation.__call__

    def remember(self: Augmentation, *arguments: object) -> Tensor:
        seen.append(change(self, *arguments))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(Augmentation, "__call__", remember)
    totals, mapped = [], voting.map_batches
    monkeypatch.setattr(voting, "map_batches", lambda *a: totals.append(mapped(*a)) or totals[-1])
    student = made.student(3)
    found = voting.voted_accuracy(student, split, 4)  # type: ignore[arg-type]
    assert len(seen) == 3
    sums = sum(probabilities(student, clouds) for clouds in (split.points, *seen))
    assert isinstance(sums, np.ndarray)
    np.testing.assert_allclose(totals[0], sums, atol=1e-5)
    assert found.overall == pytest.approx(share(sums, split))
    ratio = seen[0].sort(1).values / split.points.sort(1).values
    assert 0.8 <= float(ratio.min()) <= float(ratio.max()) <= 1.25
    assert not torch.equal(seen[0], seen[1])
    # No axis' points are ordered as they were: they stand in another order, not scaled alone.
    assert not torch.equal(seen[0].argsort(1), split.points.argsort(1))


def test_one_vote_is_the_plain_figure(split: made.Split) -> None:
    student = made.student(3)
    plain = share(probabilities(student, split.points), split)
    assert voting.voted_accuracy(student, split, 1).overall == pytest.approx(plain)  # type: ignore[arg-type]


def test_the_published_way_is_the_largest_of_its_votings(
    split: made.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [(0.2, 0.7), (0.6, 0.1), (0.5, 0.5)]

    def measured(*_: object) -> Accuracy:
        overall, mean = script.pop(0)
        found = Accuracy(torch.eye(2))
        monkeypatch.setattr(type(found), "summary", lambda _: {"overall": overall, "mean": mean})
        return found

    monkeypatch.setattr(voting, "_measured", measured)
    found = voting.published_accuracy(made.student(), split, 10, 3)  # type: ignore[arg-type]
    assert found == {"overall": 0.6, "mean": 0.7}


def test_published_scalings_compound(split: made.Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "PUBLISHED", (0.9, 0.9))
    student, seen = made.student(), []
    encode = student.encode
    student.encode = lambda points: (seen.append(points), encode(points))[1]  # type: ignore[method-assign]
    voting.published_accuracy(student, split, 4, 1)  # type: ignore[arg-type]
    for vote, clouds in enumerate(seen):
        torch.testing.assert_close(clouds, split.points * 0.9**vote)


def test_published_votings_scale_otherwise_each_time(
    split: made.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, seen = made.student(), []
    encode = student.encode
    monkeypatch.setattr(student, "encode", lambda points: (seen.append(points), encode(points))[1])
    voting.published_accuracy(student, split, 2, 3)  # type: ignore[arg-type]
    scaled = seen[1::2]  # the first of each voting is the plain cloud
    assert len(scaled) == 3
    assert len({round(float(clouds.abs().sum()), 3) for clouds in scaled}) == 3


@pytest.fixture(scope="module")
def _no_report() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "write_report", lambda *_: None)
        yield


@pytest.mark.usefixtures("_no_report")
def test_a_run_tells_voted_and_published_figures_apart(tmp_path: Path) -> None:
    tiny = [*TINY, "method=none", "training.epochs=1"]
    run(load_config("shapes", [*tiny, "evaluation.votes=3"]), tmp_path / "a")
    plain = read_json(tmp_path / "a" / "result.json")
    assert plain["voted"]["votes"] == 3
    assert "published" not in plain
    assert plain["selection"] == "last"
    run(load_config("shapes", [*tiny, "protocol=paper", "evaluation.repeats=2"]), tmp_path / "b")
    paper = read_json(tmp_path / "b" / "result.json")
    assert (paper["published"]["votes"], paper["published"]["repeats"]) == (10, 2)
    assert "voted" not in paper
    assert (paper["protocol"], paper["selection"]) == ("paper", "test")
    assert {"python", "torch", "device", "threads"} <= set(paper["environment"])


@pytest.mark.parametrize(("asked", "votes"), [(1, 10), (2, 2), (7, 7)])
def test_the_published_way_takes_ten_votes_unless_told(
    asked: int, votes: int, split: made.Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, int]] = []

    def published(_student: nn.Module, _split: made.Split, *numbers: int) -> dict[str, float]:
        taken.append(numbers)  # type: ignore[arg-type]
        return {}

    monkeypatch.setattr(running, "published_accuracy", published)
    config = load_config("shapes", ["protocol=paper", f"evaluation.votes={asked}"])
    inputs: Any = SimpleNamespace(test=split)
    found = running._voted(config, inputs, nn.Identity())  # type: ignore[arg-type]
    assert taken == [(votes, 300)]
    assert found["published"]["votes"] == votes


def test_the_published_way_does_not_go_with_a_validation_split() -> None:
    words = ["protocol=paper", "training.selection=validation", "data.validation=0.1"]
    with pytest.raises(InputError, match="protocol=paper selects on the test split"):
        load_config("shapes", words)
    with pytest.raises(InputError, match=r"data.validation=0.0: must be above 0 to stop early"):
        load_config("shapes", ["training.early_stop=3"])
    with pytest.raises(InputError, match=r"training\.selection='paper'"):
        load_config("shapes", ["training.selection=paper"])
