"""Two and three processes against one: the same weights; what ends one of them ends all, in words.

The processes are forked from a server that has imported torch once.
"""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.forkserver import _forkserver  # type: ignore[attr-defined]
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor, device
from torch.testing import assert_close

from pointcmt.errors import InputError
from pointcmt_training import loop
from pointcmt_training import prepare as preparing
from pointcmt_training import run as running
from pointcmt_training.config import Config
from pointcmt_training.inputs import Inputs
from pointcmt_training.recipe import load_config
from pointcmt_training.together import LOST, STATUS, ending_together, meet
from tests.training import made
from tests.training.tiny import TINY

SETTINGS = [
    *TINY,
    *(f"{stage}.batch_size=7" for stage in ("teacher", "generator", "training")),  # 3 + 4
    *(f"{stage}.optimizer=sgd" for stage in ("generator", "training")),  # no sign of a gradient
    "options={width: 0.25, centres: [16, 8], neighbours: [[4], [4]], head: original}",
    "generator.layers=1",  # it has dropout, as the original head has
    "data.fraction=0.5",
    "data.unlabelled=rest",
    "data.unlabelled_batch=4",
    "data.class_balance=weights",
]
Job = Callable[[Path], None]


def train(root: Path, *more: str) -> None:
    running.write_report = lambda *_: None  # type: ignore[attr-defined]
    running.run(load_config("shapes", [*SETTINGS, *more]), root)


def train_other_data_on_rank_1(root: Path) -> None:
    train(root, f"data.subset_seed={os.environ['RANK']}")


def lack_data_on_rank_1(root: Path) -> None:
    """With an earlier student, which the first rank alone can read."""
    load = preparing.load_inputs

    def loads(config: Config, device: device) -> Inputs:
        if os.environ["RANK"] == "1":
            raise InputError("own/a.npy: cannot be read")
        return load(config, device)

    preparing.load_inputs = loads  # type: ignore[attr-defined]
    train(root, "method=self", f"distillation.run={root.parent / 'earlier'}")


def die_on_rank_1(root: Path) -> None:
    """As if the kernel killed it for want of memory, in the last stage."""
    save = loop.save_state

    def dies(path: Path, state: dict[str, object]) -> None:
        save(path, state)
        if path.name == "training.pt" and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)

    loop.save_state = dies
    train(root)


def rank(job: Job, root: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    sys.stderr = (root.parent / "said").open("a", buffering=1)
    meet()
    with ending_together():
        job(root)


def start(count: int, job: Job, root: Path) -> list[int | None]:
    """Run a job in so many ranks; return their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._inductor"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count)}
    started: list[BaseProcess] = [
        context.Process(target=rank, args=(job, root, {**where, "RANK": str(number)}))
        for number in range(count)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    return [process.exitcode for process in started]


def said(root: Path) -> list[str]:
    lines = (root.parent / "said").read_text().replace("\r", "\n").splitlines()
    return [line for line in lines if "Error" in line]


def assert_same_run(one: Path, other: Path) -> None:
    for part in ("teacher", "generator", "student"):
        first, second = (load_file(root / part / "model.safetensors") for root in (one, other))
        assert_close(first, second, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module", autouse=True)
def _a_server_that_has_imported_all() -> None:
    _forkserver._stop()  # type: ignore[attr-defined]  # one of another test may be running


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    root = tmp_path_factory.mktemp("one") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "write_report", lambda *_: None)
        train(root)
    return root


def test_two_ranks_train_what_one_process_does(whole: Path, tmp_path: Path) -> None:
    assert start(2, train, tmp_path / "run") == [0, 0]
    assert_same_run(whole, tmp_path / "run")
    assert said(tmp_path / "run") == []


def test_a_killed_rank_ends_the_run_in_one_sentence_and_three_ranks_go_on(
    whole: Path, tmp_path: Path
) -> None:
    root = tmp_path / "run"
    assert start(2, die_on_rank_1, root) == [STATUS, -signal.SIGKILL]
    assert said(root) == [f"Error: {LOST}"]
    assert (root / "state" / "training.pt").is_file()
    assert start(3, train, root) == [0, 0, 0]
    assert_same_run(whole, root)


def test_ranks_that_see_different_data_are_refused_in_one_sentence(tmp_path: Path) -> None:
    assert start(2, train_other_data_on_rank_1, tmp_path / "run") == [STATUS, STATUS]
    assert len(said(tmp_path / "run")) == 1
    assert "rank 1 sees other data or another recipe than rank 0" in said(tmp_path / "run")[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("there", [True, False])
def test_a_rank_that_lacks_data_keeps_none_waiting_for_an_earlier_student(
    whole: Path, tmp_path: Path, there: bool
) -> None:
    if there:
        (tmp_path / "earlier").symlink_to(whole)
    assert start(2, lack_data_on_rank_1, tmp_path / "run") == [STATUS, STATUS]
    words = "own/a.npy: cannot be read" if there else "holds no finished student to learn from"
    assert len(said(tmp_path / "run")) == 1
    assert words in said(tmp_path / "run")[0]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0, RANK=0: torchrun starts at least one process"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "WORLD_SIZE=2, RANK=2"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: must be a whole number"),
        ({"WORLD_SIZE": "2"}, "rank 0: cannot meet the other processes"),
    ],
)
def test_an_environment_that_torchrun_does_not_make_is_refused(
    environment: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(InputError, match=words):
        meet(environment)


def test_a_batch_smaller_than_the_ranks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.ranks, "world", lambda: 8)
    schedule = made.settings("training.batch_size=7").training
    with pytest.raises(InputError, match=r"training\.batch_size=7: must be at least the 8 proc"):
        loop.require_batch("training", schedule, 100)


def test_one_process_computes_and_joins_everything() -> None:
    rows = Tensor([[1.0], [2.0]])
    assert loop.ranks.shared(lambda share: share * 2, rows).tolist() == [[2.0], [4.0]]
