"""What freed tensors leave behind: memory for the next ones, or none."""

import platform
import subprocess
import sys

import pytest

CODE = """
from pathlib import Path
import torch
from pointcmt_training.allocator import tune_allocator

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) // 1024

tune_allocator(lean={lean})
before = held()
tensors = [torch.ones(size << 18) for _ in range(8) for size in (16, 1)]  # MiB each
between = held()
del tensors[::2]
print(between - before, held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's setting")
@pytest.mark.parametrize("lean", [False, True])
def test_large_blocks_between_small_ones_are_kept_or_given_back(lean: bool) -> None:
    command = [sys.executable, "-c", CODE.format(lean=lean)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    most, left = map(int, done.stdout.split())
    assert most > 128
    assert (left < 32) == lean
