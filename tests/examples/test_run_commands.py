"""Several commands at once, with Ray and with SLURM."""

import json
import os
import runpy
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY = (
    "pointcmt-train shapes data.per_class=4 data.points=64 generator.points=32 student=pointnet "
    "'options={width: 0.125}' method=none 'distillation={}' checkpoint_seconds=0"
)
EPOCHS = 60


def kill_after_some_epochs(history: Path, killed: list[int]) -> None:
    """End all workers, among them the one that trains."""
    end = time.monotonic() + 300
    while not killed and time.monotonic() < end:
        time.sleep(0.02)
        if not history.is_file() or len(history.read_text().splitlines()) < 3:
            continue
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes()
            except OSError:  # it ended meanwhile
                continue
            if words.startswith(b"ray::run"):
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(int(process.name))


@pytest.mark.timeout(600)
def test_ray_runs_all_commands_and_starts_again_what_was_killed(
    local_ray: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, run = tmp_path / "views", tmp_path / "run"
    draw = f"pointcmt-data views shapes:1 --size 16 --workers 1 --out {pictures} --share"
    lines = [
        f"{TINY} training.epochs={EPOCHS} -o {run}",
        f"{draw} 1/2",
        f"{draw} 2/2",
        f"{TINY} training.epochs=0 -o {tmp_path / 'refused'}",
    ]
    (tmp_path / "commands.txt").write_text("\n".join(lines) + "\n")
    killed: list[int] = []
    killer = threading.Thread(
        target=kill_after_some_epochs, args=(run / "history" / "training.jsonl", killed)
    )
    killer.start()
    main = runpy.run_path(str(EXAMPLES / "ray" / "run_commands.py"))["main"]
    assert main(str(tmp_path / "commands.txt")) == 1
    killer.join()
    assert killed
    told = capsys.readouterr().out.splitlines()
    assert [line[:3] for line in told if "pointcmt-" in line] == ["0  ", "0  ", "0  ", "1  "]
    epochs = [json.loads(line)["epoch"] for line in (run / "history/training.jsonl").open()]
    assert epochs == list(range(epochs[0], epochs[0] + EPOCHS))
    assert (run / "result.json").is_file()
    assert len(list(pictures.rglob("*.png"))) == 24 * 6  # 12 classes, two splits


def test_slurm_runs_the_line_of_its_number(tmp_path: Path) -> None:
    (tmp_path / "srun").write_text('#!/bin/bash\nexec "$@"\n')  # runs it here
    (tmp_path / "srun").chmod(0o755)
    (tmp_path / "commands.txt").write_text("echo 'first'\necho '{two: words}' \"$TMPDIR\"\nfalse\n")
    path = f"{tmp_path}:{os.environ['PATH']}"

    def task(number: str) -> subprocess.CompletedProcess[str]:
        command = [EXAMPLES / "slurm" / "run_commands.sh", tmp_path / "commands.txt"]
        environment = {"PATH": path, "SLURM_ARRAY_TASK_ID": number, "TMPDIR": "/scratch"}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    assert task("2").stdout == "{two: words} /scratch\n"
    assert task("3").returncode == 1
