"""Several `key=value` words on one command line: one that takes back another is told."""

import pytest
from click.testing import CliRunner

from pointcmt_training.cli import main
from pointcmt_training.overrides import taken_back


@pytest.mark.parametrize(
    "words",
    [
        ["training.lr=0.1", "training.lr=0.2"],
        ["data.root=a", "seed=1", "data.root="],
        ["training.lr=0.1", "training={epochs: 3}"],
        ["training={lr: 0.1, epochs: 3}", "training.lr=0.2"],
        ["options.k=8", "options={}"],
        ["teacher.schedule.floor=0", "teacher.schedule={kind: steps}"],
    ],
)
def test_a_word_that_takes_back_another_is_told_with_both(words: list[str]) -> None:
    assert list(taken_back(words)) == [f"{words[-1]} takes back {words[0]}"]


@pytest.mark.parametrize(
    "words",
    [
        ["training.lr=0.1", "training.lr=1e-1"],
        ["options={k: 8}", "options.width=0.5"],
        ["training.lr=0.1", "training={epochs: 3, lr: 0.1}"],
        ["data.points=64", "data.points_more=8"],
        ["method=hinton", "distillation={}", "distillation.weight=2"],
    ],
)
def test_words_that_agree_may_stand_side_by_side(words: list[str]) -> None:
    assert not list(taken_back(words))


@pytest.mark.parametrize("begin", [["shapes", "--show"], ["table", "4", "--dry-run"]])
def test_every_command_tells_it_and_the_last_counts(begin: list[str]) -> None:
    words = ["data.name=shapes", "training.lr=0.1", "training.lr=0.25"]
    said = CliRunner().invoke(main, [*begin, *words])
    assert said.exit_code == 0
    assert said.stderr == "Warning: training.lr=0.25 takes back training.lr=0.1\n"
    assert begin[0] == "table" or "lr: 0.25" in said.stdout
