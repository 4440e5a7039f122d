"""A worker is gone when its parent is, even one that was killed."""

import os
import subprocess
import sys
import time

import pytest

PARENT = """
import time
from pointcmt.processes import clean_context, follow_parent

def work(pipe):
    follow_parent()
    pipe.send(__import__("os").getpid())
    time.sleep(60)

if __name__ == "__main__":
    context = clean_context()
    here, there = context.Pipe()
    context.Process(target=work, args=(there,)).start()
    print(here.recv(), flush=True)
    time.sleep(60)
"""


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_a_worker_leaves_when_its_parent_is_killed(tmp_path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert alive(worker)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)
