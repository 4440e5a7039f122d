"""Several `key=value` words on one command line: none takes back another."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pointcmt.errors import InputError
from pointcmt_training.cli import main
from pointcmt_training.overrides import require_consistent


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["training.lr=0.1", "training.lr=0.2"], "training.lr"),
        (["data.root=a", "seed=1", "data.root="], "data.root"),
        (["training.lr=0.1", "training={epochs: 3}"], "training.lr"),
        (["training={lr: 0.1, epochs: 3}", "training.lr=0.2"], "training.lr"),
        (["options.k=8", "options={}"], "options.k"),
        (["teacher.schedule.floor=0", "teacher.schedule={kind: steps}"], "teacher.schedule.floor"),
    ],
)
def test_a_word_that_takes_back_another_is_refused_with_both(words: list[str], key: str) -> None:
    with pytest.raises(InputError) as caught:
        require_consistent(words)
    message = str(caught.value)
    assert words[0] in message
    assert words[-1] in message
    assert f"give {key} once" in message


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
    require_consistent(words)


@pytest.mark.parametrize("begin", [["shapes"], ["table", "4"], ["resume", "."]])
def test_every_command_refuses_it_before_anything_else(
    begin: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("seed: 0\n")
    said = CliRunner().invoke(main, [*begin, "device=cpu", "device=cuda"])
    assert said.exit_code == 1
    assert "device=cpu and device=cuda: the second takes back the first" in said.output
    assert [path.name for path in Path().iterdir()] == ["config.yaml"]
