"""Decoders in a process of their own, which keeps to what its starter has left and ends with it."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pointcmt.geometry.formats.apart import columns_apart
from tests.test_processes import ends

DECODERS = "tests.reference.decoders"
ASKING = f"""
import sys
from pathlib import Path
from pointcmt.geometry.formats.apart import columns_apart
from pointcmt.processes import limit_memory

if int(sys.argv[3]):
    limit_memory(int(sys.argv[3]) << 20)
try:
    found = columns_apart(Path(sys.argv[1]), "{DECODERS}:" + sys.argv[2])
    print(sorted(found))
except MemoryError:
    print("too much")
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone bounds and ends so")


def asked(path: Path, decoder: str, mebibytes: int) -> str:
    command = [sys.executable, "-c", ASKING, str(path), decoder, str(mebibytes)]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file.laz").write_bytes(b"LASF")
    return tmp_path / "file.laz"


def test_columns_come_back_by_their_names(path: Path) -> None:
    found = columns_apart(path, f"{DECODERS}:two")
    assert found["x"].tolist() == [0, 1, 2]
    assert found["file"].dtype == np.float32


@linux
@pytest.mark.parametrize(("mebibytes", "told"), [(0, "['x']"), (2000, "['x']"), (500, "too much")])
def test_a_decoder_takes_half_of_what_its_starter_has_left(
    path: Path, mebibytes: int, told: str
) -> None:
    assert asked(path, "greedy", mebibytes) == told


@linux
def test_a_decoder_ends_with_a_starter_that_is_killed(path: Path) -> None:
    command = [sys.executable, "-c", ASKING, str(path), "endless", "0"]
    with subprocess.Popen(command) as asking:
        deadline = time.monotonic() + 20
        while not path.with_suffix(".pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        asking.kill()
    assert ends(int(path.with_suffix(".pid").read_text()))
