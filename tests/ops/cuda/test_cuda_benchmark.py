"""The GPU benchmark runs to its end at a small size, on the emulator."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import ops_gpu
from benchmarks.ops_parts import released_auction
from benchmarks.ops_parts.clock import Device
from benchmarks.ops_parts.problems import KINDS, pairs
from benchmarks.ops_parts.released_auction import ReleasedAuction
from tests.ops.cuda.clouds import cost, optimum
from tests.ops.cuda.emulation import FORWARD, RANDOM, REVERSE, Emulator

CPU = torch.device("cpu")
MACHINE = Device("emulated", 2, 1e9, 1e9)


def test_the_report_tells_all_that_was_asked(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.fresh = False  # the baseline's kernels hand their state on
    monkeypatch.setattr(released_auction, "ROUNDS", 2)
    report = ops_gpu.measure(ops_gpu.Sizes(2, 32, 1), CPU, MACHINE, lambda run: run)
    assert [row["kind"] for row in report["matching"]] == list(KINDS)
    assert all(row["largest true error"] <= row["largest proved gap"] for row in report["matching"])
    assert len(report["others"]) == 4
    text = ops_gpu.markdown(report)
    for word in ("torch eager", "torch.compile", "baseline ms", "bound by bytes", "first phase"):
        assert word in text


def test_without_a_gpu_it_says_so_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    monkeypatch.setattr(sys, "argv", ["ops_gpu", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="needs a GPU"):
        ops_gpu.main()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("schedule", [FORWARD, REVERSE, RANDOM])
def test_the_baseline_launches_seven_kernels_a_round_and_ends_near_the_optimum(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, schedule: int
) -> None:
    emulator.schedule, emulator.fresh = schedule, False
    monkeypatch.setattr(released_auction, "ROUNDS", 40)
    x, y = pairs("cube", 2, 20, torch.Generator().manual_seed(3))
    auction = ReleasedAuction(x, y)
    auction.player()()
    assert len(emulator.launches) == 40 * released_auction.LAUNCHES
    matching = auction.matching()
    owned = auction.lists["assigned"]
    assert all(len(row[row >= 0].unique()) == int((row >= 0).sum()) for row in owned)
    if (owned >= 0).all():  # then eps-complementary slackness bounds the cost
        np.testing.assert_array_less(cost(x, y, matching), optimum(x, y) + 20 * 0.05 + 1e-3)
