"""Whole runs on a few embedded shapes: results, resuming after a kill, and refusals."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pointcmt.checkpoint import load_student, read_training_checkpoint
from pointcmt.data import Shapes
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.views import project_depth
from pointcmt_training import folder, loop
from pointcmt_training import run as running
from pointcmt_training.distillation import METHODS
from pointcmt_training.folder import RunFolder
from pointcmt_training.held import held
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run
from tests.training.tiny import TINY

SECONDS = {"wall_seconds", "cpu_seconds"}
OPTIMISED: list[tuple[type, float, float]] = []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run; the optimiser of each of its steps is in `OPTIMISED`."""

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        group = optimizer.param_groups[0]
        OPTIMISED.append((type(optimizer), group["lr"], group["weight_decay"]))

    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("run") / "whole"
    hook = register_optimizer_step_pre_hook(note)
    run(load_config("shapes", TINY), root)
    hook.remove()
    return root


@pytest.fixture
def _no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "write_report", lambda *_: None)


def assert_same_weights(one: Path, other: Path) -> None:
    for part in ("teacher", "generator", "student"):
        first, second = (load_file(root / part / "model.safetensors") for root in (one, other))
        assert first.keys() == second.keys()
        assert not [key for key in first if not torch.equal(first[key], second[key])]


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


def test_each_stage_is_optimised_as_its_own_section_says(finished: Path) -> None:
    steps = iter(OPTIMISED)
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


def test_another_configuration_does_not_touch_a_finished_run(finished: Path) -> None:
    before = (finished / "result.json").read_bytes()
    with pytest.raises(InputError, match=r"another run \(seed is 0 there, 1 here\)"):
        run(load_config("shapes", [*TINY, "seed=1"]), finished)
    assert (finished / "result.json").read_bytes() == before


def test_a_kill_before_the_configuration_was_written_leaves_a_free_folder(tmp_path: Path) -> None:
    """Killed inside `write_beside`, its temporary folder is all that is there."""
    config, root = load_config("shapes", TINY), tmp_path / "run"
    child = os.fork()
    if child == 0:
        try:
            folder.write_text = lambda path, _: _die_inside(path)
            RunFolder(root).claim(config, {})
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    left = {p.name for p in root.iterdir()}
    assert left
    assert "config.yaml" not in left
    other = load_config("shapes", [*TINY, "seed=1"])
    RunFolder(root).require_free(other)
    RunFolder(root).claim(other, {})
    assert {p.name for p in root.iterdir()} == {"config.yaml", "data.json"}


def _die_inside(path: Path) -> None:
    with write_beside(path) as fresh:
        fresh.write_text("method: ")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(InputError, match="holds no run"):
        run(load_config("shapes", TINY), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("recipe", ["shapes", "shapes_parts"])
def test_one_process_trains_in_a_folder_at_a_time(recipe: str, tmp_path: Path) -> None:
    root = tmp_path / "run"
    settings = TINY if recipe == "shapes" else ["data.per_class=2", "device=cpu"]
    with (
        held(root),
        pytest.raises(InputError, match=r"run: another process is training here"),
    ):
        run(load_config(recipe, settings), root)
    assert list(root.iterdir()) == []
    with held(root):
        pass


def test_a_folder_that_another_run_took_meanwhile_is_not_claimed(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(load_config("shapes", TINY), {})
    (tmp_path / "history").mkdir()
    with pytest.raises(InputError, match="holds another run"):
        RunFolder(tmp_path).claim(load_config("shapes", [*TINY, "seed=1"]), {})


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


def flip(path: Path, at: float = 0.5) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 0x10
    path.write_bytes(content)


def copy_of(finished: Path, tmp_path: Path) -> Path:
    """The run without its end, so that the next call takes up what stages I and II left."""
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    return tmp_path / "run"


@pytest.mark.parametrize("stage", ["teacher", "generator"])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.9, 0.9999])
def test_one_changed_byte_of_reused_weights_is_noticed(
    stage: str, at: float, finished: Path, tmp_path: Path
) -> None:
    root = copy_of(finished, tmp_path)
    flip(root / stage / "model.safetensors", at)
    with pytest.raises(InputError, match=rf"{stage}/model\.safetensors: damaged; remove it to"):
        run(load_config("shapes", TINY), root)


@pytest.mark.usefixtures("_no_report")
def test_one_changed_byte_of_cached_features_is_noticed_and_mended(
    finished: Path, tmp_path: Path
) -> None:
    root = copy_of(finished, tmp_path)
    (features,) = (root / "features").iterdir()
    flip(features)
    with pytest.warns(UserWarning, match=r"\.npz: damaged; the features are computed anew"):
        run(load_config("shapes", TINY), root)
    assert_same_weights(finished, root)


@pytest.mark.usefixtures("_no_report")
def test_an_empty_file_of_cached_features_is_mended(finished: Path, tmp_path: Path) -> None:
    root = copy_of(finished, tmp_path)
    (features,) = (root / "features").iterdir()
    features.write_bytes(b"")
    with pytest.warns(UserWarning, match=r"\.npz: damaged; the features are computed anew"):
        run(load_config("shapes", TINY), root)
    assert features.stat().st_size


@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
def test_one_changed_byte_of_a_state_is_noticed(at: float, tmp_path: Path) -> None:
    path = tmp_path / "teacher.pt"
    folder.save_state(path, {"module": {"a": torch.randn(999)}, "records": [{"epoch": 1}]})
    assert folder.load_state(path)["records"] == [{"epoch": 1}]
    flip(path, at)
    with pytest.raises(InputError, match=r"teacher\.pt: damaged; remove it to start this stage"):
        folder.load_state(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00\xff", '{"epoch": 1}\n3\n'])
@pytest.mark.parametrize("name", ["result.json", "history/teacher.jsonl", "teacher/accuracy.json"])
def test_a_damaged_file_is_one_sentence_that_names_it(
    name: str, text: str, finished: Path, tmp_path: Path
) -> None:
    if name == "history/teacher.jsonl" and not text:
        text = "{"
    root = copy_of(finished, tmp_path)
    (root / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=rf"{name}: damaged; remove it to"):
        run(load_config("shapes", TINY), root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.json", '{"train": 3}'),
        ("history/teacher.jsonl", "{}"),
        ("history/teacher.jsonl", '{"epoch": 1}'),
        ("history/teacher.jsonl", '{"epoch": "one"}'),
    ],
)
def test_a_file_that_lacks_something_is_one_sentence_that_names_it(
    name: str, text: str, finished: Path, tmp_path: Path
) -> None:
    root = copy_of(finished, tmp_path)
    (root / name).write_text(text)
    with pytest.raises(InputError, match=rf"{name}: damaged; remove it to"):
        run(load_config("shapes", TINY), root)


def test_a_finished_run_without_a_result_or_a_student_is_said(
    finished: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    shutil.copytree(finished, root)
    shutil.rmtree(root / "student")
    with pytest.raises(InputError, match=r"run/student: is gone; remove .*result\.json"):
        run(load_config("shapes", TINY), root)
    (root / "result.json").write_text("{}")
    with pytest.raises(InputError, match=r"result\.json: damaged; remove it to"):
        run(load_config("shapes", TINY), root)
