"""Workers are gone when their parent is, even one that was killed, and keep within bounds."""

import subprocess
import sys
import time
from pathlib import Path

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


# It works beside the interpreter, or holds it, which Linux alone can end.
WORK = {
    "elsewhere": 'sys.platform = "elsewhere"; follow_lifeline(); print(getpid(), flush=True); '
    "time.sleep(60)",
    "linux": "follow_lifeline(); print(getpid(), flush=True); ctypes.PyDLL(None).sleep(60)",
}
STARTER = """
import subprocess, sys
from pointcmt.processes import lifeline

with lifeline() as line:
    code = "import ctypes, sys, time; from os import getpid; "
    code += "from pointcmt.processes import follow_lifeline; " + sys.argv[1]
    subprocess.run([sys.executable, "-c", code], stdin=line)
"""

BOUNDED = """
import resource
from pointcmt.processes import limit_memory, lower_limit, memory_left

assert memory_left() is None
limit_memory(200 << 20)
assert 190 << 20 < memory_left() <= 200 << 20
limit_memory(300 << 20)  # a bound that is there stays
assert memory_left() <= 200 << 20
some = bytearray(100 << 20)
assert memory_left() <= 100 << 20
try:
    bytearray(150 << 20)
except MemoryError:
    print("bounded")
"""


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(process: int) -> bool:
    """Whether it is gone soon; a zombie that nobody has waited for is."""
    deadline = time.monotonic() + 20
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(process)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_leaves_when_its_parent_is_killed(tmp_path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert alive(worker)
    parent.kill()
    parent.wait()
    assert ends(worker)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("system", WORK)
def test_a_process_on_a_lifeline_leaves_when_its_starter_is_killed(system: str) -> None:
    command = [sys.executable, "-c", STARTER, WORK[system]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        worker = int(starter.stdout.readline())
        assert alive(worker)
        starter.kill()
        assert ends(worker)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows have no such bound")
def test_memory_is_bounded_from_what_a_process_has_on() -> None:
    command = [sys.executable, "-c", BOUNDED]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "bounded\n"
