"""Whole runs on a few embedded shapes: results, resuming after a kill, and refusals."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pointcmt.checkpoint import load_student, read_training_checkpoint
from pointcmt.data import Shapes
from pointcmt.errors import InputError
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.views import project_depth
from pointcmt_training import loop
from pointcmt_training.distillation import METHODS
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from tests.training.tiny import TINY, Optimised, assert_same_weights

SECONDS = {"wall_seconds", "cpu_seconds"}


def test_a_run_leaves_everything_in_its_place(finished: Path) -> None:
    assert {p.name for p in finished.iterdir()} == {
        "config.yaml",
        "data.json",
        "teacher",
        "generator",
        "student",
        "features",
        "history",
        "checkpoint.safetensors",
        "result.json",
        "report.html",
    }


def test_each_stage_is_optimised_as_its_own_section_says(optimised: Optimised) -> None:
    steps = iter(optimised)
    for kind, lr, decay in (
        (torch.optim.SGD, 0.002, 1e-4),
        (torch.optim.Adam, 0.001, 1e-4),
        (torch.optim.AdamW, 0.002, 0.05),
    ):
        for rate in (lr, lr, lr / 2, lr / 2):  # two steps an epoch, half a cosine
            assert next(steps) == (kind, pytest.approx(rate), decay)
    assert not list(steps)


def test_the_result_is_what_the_saved_student_does(finished: Path) -> None:
    student, config = load_student(finished / "student")
    test = Shapes("test", 1, 64)
    with torch.no_grad():
        predicted = student(torch.from_numpy(test.points)).argmax(1).numpy()
    result = json.loads((finished / "result.json").read_text())
    right = predicted == test.labels
    assert config.classes == test.classes
    assert result["student"]["overall"] == pytest.approx(right.mean())
    assert result["student"]["mean_class"] == pytest.approx(right.mean())  # one object a class
    assert sum(map(sum, result["confusion"])) == len(test)
    assert all(result["confusion"][t][p] for t, p in zip(test.labels, predicted, strict=True))


def test_the_teachers_result_is_what_the_saved_teacher_does(finished: Path) -> None:
    teacher = MultiViewTeacher("resnet18", 12, 1, 0.25, feature_dim=64).eval()
    teacher.load_state_dict(load_file(finished / "teacher" / "model.safetensors"))
    test = Shapes("test", 1, 64)
    with torch.no_grad():
        predicted = teacher(project_depth(torch.from_numpy(test.points), 16)).argmax(1).numpy()
    result = json.loads((finished / "result.json").read_text())
    assert result["teacher"]["overall"] == pytest.approx((predicted == test.labels).mean())


def test_the_history_has_a_line_an_epoch_with_every_loss(finished: Path) -> None:
    lines = (finished / "history" / "training.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == [1, 2]
    for record in records:
        parts = record.keys() - {"epoch", "loss", "accuracy", "test_accuracy"} - SECONDS
        assert parts == {"cross_entropy", "feature", "classifier", "supervision"}
        assert record["loss"] == pytest.approx(sum(record[name] for name in parts), rel=1e-4)


def test_the_checkpoint_still_holds_teacher_and_generator(finished: Path) -> None:
    _, parts = read_training_checkpoint(finished / "checkpoint.safetensors")
    assert set(parts) == {"student", "teacher", "generator"}
    for part, tensors in parts.items():
        saved = load_file(finished / part / "model.safetensors")
        assert all(torch.equal(tensors[key], tensor) for key, tensor in saved.items())


def test_the_report_is_self_contained(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert page.count("data:image/png;base64,") in (4, 5)  # the fifth: what was wrong, if any
    assert "http" not in page
    assert "What the generator decodes" in page


def killed(root: Path, section: str, epoch: int) -> int:
    """Run in a process of its own that kills itself before it saves this epoch; its exit status."""
    if torch.cuda.is_available():
        pytest.skip("autograd that knows a GPU cannot be forked")
    child = os.fork()
    if child == 0:
        save = loop.save_state

        def save_or_die(path: Path, state: dict[str, object]) -> None:
            if path.stem == section and len(state["records"]) == epoch:  # type: ignore[arg-type]
                os.kill(os.getpid(), signal.SIGKILL)
            save(path, state)

        loop.save_state = save_or_die
        try:
            run(load_config("shapes", TINY), root)
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


@pytest.mark.usefixtures("_no_report")
def test_a_run_killed_in_every_epoch_of_every_stage_ends_with_the_same_weights(
    finished: Path, tmp_path: Path
) -> None:
    """SIGKILL just before an epoch's state is saved, so that its work is lost each time."""
    root = tmp_path / "killed"
    for section in ("teacher", "generator", "training"):
        for epoch in (1, 2):
            assert killed(root, section, epoch) == signal.SIGKILL
            assert (root / "state" / f"{section}.pt").exists() == (epoch == 2)
            assert not (root / "result.json").exists()
    run(load_config("shapes", TINY), root)
    assert_same_weights(finished, root)
    one, other = (json.loads((r / "result.json").read_text()) for r in (finished, root))
    assert one.keys() == other.keys()
    assert all(one[key] == other[key] for key in one if key != "seconds")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    counts: list[int] = []
    encode = MultiViewTeacher.encode

    def counting(self: MultiViewTeacher, views: torch.Tensor) -> torch.Tensor:
        counts.append(len(views))
        return encode(self, views)

    monkeypatch.setattr(MultiViewTeacher, "encode", counting)
    return counts


@pytest.mark.usefixtures("_no_report")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_on_the_stages_of_another_run(
    method: str, finished: Path, tmp_path: Path, encoded: list[int]
) -> None:
    settings = [*TINY, f"method={method}", f"stages_from={finished}", "training.epochs=1"]
    if method == "self":
        settings.append(f"distillation.run={finished}")
    result = run(load_config("shapes", settings), tmp_path / method)
    assert 0 <= result["student"]["overall"] <= 1
    assert (result["teacher"] is None) == (method in ("none", "self"))
    assert not (tmp_path / method / "teacher").exists()
    assert encoded == [], "the other run's features are there"
    record = json.loads((tmp_path / method / "history" / "training.jsonl").read_text())
    losses = record.keys() - {"epoch", "loss", "accuracy", "test_accuracy", "cross_entropy"}
    assert bool(losses - SECONDS) == (method != "none")


def test_stages_of_a_run_that_was_trained_otherwise_are_refused(
    finished: Path, tmp_path: Path
) -> None:
    settings = [*TINY, f"stages_from={finished}", "teacher.epochs=3"]
    with pytest.raises(InputError, match=r"teacher\.epochs is 2 there, 3 here"):
        run(load_config("shapes", settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_stages_for_features_of_another_size_are_refused(finished: Path, tmp_path: Path) -> None:
    settings = [*TINY, f"stages_from={finished}", "options.feature_dim=32"]
    with pytest.raises(InputError, match=r"features have 64 numbers, those of pointnet2-ssg 32"):
        run(load_config("shapes", settings), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "teacher.batch_size=25",
            r"teacher\.batch_size=25: must be at most the 24 training",
        ),
        ("generator.batch_size=25", r"generator\.batch_size=25.*24 training samples"),
        ("training.batch_size=25", r"training\.batch_size=25.*24 training samples"),
        ("data.points=16", r"data\.points=16: must be at least 17, what pointnet2-ssg needs"),
        ("options.centres=[17, 18]", r"'pointnet2-ssg': cannot be run .*m must be at most the 17"),
        ("training.parts=12", r"training\.parts=12: a part is one cloud; .*cannot be run"),
        ("teacher.backbone=resnet19", r"teacher: backbone must be one of resnet18.*'resnet19'"),
        ("device=meta", "device=meta: not usable here"),
        ("stages_from=nowhere", "stages_from=nowhere: no finished teacher and generator there"),
    ],
)
def test_what_cannot_work_is_said_before_any_stage_and_leaves_no_run(
    override: str, words: str, tmp_path: Path
) -> None:
    settings = [*TINY, "options={centres: [17, 8], neighbours: [[4], [4]], feature_dim: 64}"]
    with pytest.raises(InputError, match=words):
        run(load_config("shapes", [*settings, override]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("section", ["teacher", "training"])  # stage II's gradient is bounded
def test_a_rate_that_is_far_too_high_is_one_sentence(
    section: str, finished: Path, tmp_path: Path
) -> None:
    settings = [*TINY, f"{section}.lr=100", f"{section}.optimizer=sgd", f"{section}.epochs=9"]
    if section == "training":
        settings.append(f"stages_from={finished}")
    with pytest.raises(InputError, match=rf"^{section}: the loss is not finite in epoch \d; lower"):
        run(load_config("shapes", settings), tmp_path / "run")
