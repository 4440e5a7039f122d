"""`pointcmt-train table N`: a whole small table, trained, written, interrupted and gone on with."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pointcmt_training import run as running
from pointcmt_training.cli import main
from pointcmt_training.folder import RunFolder
from pointcmt_training.reading import read_json
from pointcmt_training.tables import work
from pointcmt_training.tables.jobs import Job
from tests.training.tiny import TINY

OTHERS = [word for word in TINY if not word.startswith(("generator.epochs", "training.epochs"))]
SMALL = ["data.name=shapes", *OTHERS, "generator.epochs=1", "training.epochs=1"]


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["table", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table 7 with its control and PointCMT alone, interrupted once on its way."""
    folder = tmp_path_factory.mktemp("tables")
    words = ["7", *SMALL, "-o", folder, "--only", "baseline", "--only", "PointCMT"]
    train = work.train

    def stops(job: Job, place: Path) -> None:
        if job.config.method == "pointcmt" and not job.teaches:
            raise KeyboardInterrupt
        train(job, place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "write_report", lambda *_: None)
        patch.setattr(work, "train", stops)
        first = call(*words)
        assert first.exit_code == 130
        assert first.stderr.strip().endswith("Interrupted; the same command goes on.")
        begun = (folder / "table7.md").read_text()
        assert "1 of 2 runs are finished" in begun
        patch.setattr(work, "train", train)
        second = call(*words)
        assert second.exit_code == 0, second.output
        assert "none" not in second.stderr  # what was finished is not trained again
    return folder


def results(root: Path) -> dict[str, float]:
    paths = (root / "runs").glob("*/result.json")
    return {path.parent.name: 100 * read_json(path)["student"]["overall"] for path in paths}


def test_the_page_has_our_figures_beside_the_papers(root: Path) -> None:
    page = (root / "table7.md").read_text()
    (control,) = (value for name, value in results(root).items() if "-none-" in name)
    (ours,) = (value for name, value in results(root).items() if "-pointcmt-" in name)
    assert f"| baseline | {control:.1f} | 93.4 |" in page
    assert f"| PointCMT | {ours:.1f} ({ours - control:+.1f}) | 94.4 |" in page
    for words in ("2 of 2 runs are finished", "last epoch", "torch 2", "of ModelNet40, ours of"):
        assert words in page


def test_the_numbers_and_the_picture_stand_beside_it(root: Path) -> None:
    lines = list(csv.DictReader((root / "table7.csv").read_text().splitlines()))
    assert [line["row"] for line in lines] == ["baseline", "PointCMT"]
    assert [float(line["values"]) for line in lines] == pytest.approx(
        [v for _, v in sorted(results(root).items())], rel=1e-5
    )
    assert (root / "table7.png").read_bytes().startswith(b"\x89PNG")


def test_the_student_learned_from_the_shared_stages(root: Path) -> None:
    (stages,) = (root / "stages").iterdir()
    folder = RunFolder(stages)
    assert folder.weights("teacher").is_file()
    assert folder.weights("generator").is_file()
    assert not folder.result.exists()
    (student,) = (root / "runs").glob("*-pointcmt-*")
    assert str(stages) in RunFolder(student).config.read_text()


def test_costs_are_read_where_they_arose(root: Path) -> None:
    result = call("10", *SMALL, "-o", root)
    assert result.exit_code == 0, result.output
    (line, *_) = [x for x in (root / "table10.md").read_text().splitlines() if "PointNet++" in x]
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    assert all(float(cells[place]) > 0 for place in (0, 4, 8))
    assert cells[1] == "27.35"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["12"], "table 12: did you mean"),
        (["2"], "download scanobjectnn-obj-only"),
        (["3", "data.name=shapes", "seed=1"], "seed: this table varies it"),
        (["3", "--data", "nothing:there"], "unknown data set"),
        (["3", "--data", "modelnet40:a", "--data", "modelnet40:b"], "given as a and as b"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], sentence: str, tmp_path: Path) -> None:
    result = call(*words, "-o", tmp_path)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert sentence in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_dry_run_lists_runs_and_what_is_missing(tmp_path: Path) -> None:
    result = call("6", "data.name=shapes", "--dry-run", "-o", tmp_path)
    assert result.exit_code == 0
    assert result.output.count("to do  stages/") == 2
    assert "missing  shapes has no colours" in result.output
    assert not list(tmp_path.iterdir())


def test_the_tables_are_listed() -> None:
    lines = call("--list").output.splitlines()
    assert len(lines) == 12
    assert lines[1].startswith("1b")
