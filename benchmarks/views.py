"""How fast clouds are projected: `project_depth` beside a plain loop over clouds and views.

    python -m benchmarks.views [--seconds 2] [--output benchmarks/results]

1,024 points, 6 views of 128 x 128 pixels, splats of 3 x 3 pixels, float32, CPU. Prints the ratios
and writes views.json and views.md. Goal: at least 1,000 clouds/s from two cores.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.machine import processor
from pointcmt.views import DODECAHEDRON_VIEWS, SIX_VIEWS, project_color, project_depth

POINTS, SIZE, SPLAT = 1024, 128, 3
BATCH = 16  # pictures of larger batches cost as much to allocate afresh as to draw
GOAL = 1000


class Rate(NamedTuple):
    """Clouds per second, and per second of processor time, which other programs disturb less."""

    wall: float
    cpu: float


def plain_loop(clouds: np.ndarray) -> np.ndarray:
    """One cloud and one view at a time: far points first, so that near ones paint over them."""
    images = np.zeros((len(clouds), len(SIX_VIEWS), SIZE, SIZE), np.float32)
    for cloud, rows in zip(clouds, images, strict=True):
        for view, image in zip(SIX_VIEWS, rows, strict=True):
            right, down, depth = view @ cloud.T
            depth = depth + np.float32(1.4)
            order = np.argsort(-depth)
            corner = (SIZE - SPLAT + 1) / 2
            left = np.floor(right / depth * (SIZE / 2) + corner).astype(int)[order]
            top = np.floor(down / depth * (SIZE / 2) + corner).astype(int)[order]
            shade = np.clip(1 - 0.4 * (depth - 0.4), 0.2, 1)[order]
            for y in range(SPLAT):
                for x in range(SPLAT):
                    inside = (top + y >= 0) & (top + y < SIZE) & (left + x >= 0) & (left + x < SIZE)
                    at = (top + y)[inside], (left + x)[inside]
                    image[at] = np.maximum(image[at], shade[inside])
    return images


def spheres(count: int) -> torch.Tensor:
    raw = torch.randn(count, POINTS, 3, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(raw, dim=2) * 0.99


def rate(run: Callable[[], object], clouds: int, seconds: float) -> Rate:
    """Best figures of the runs that fit into `seconds` (at least one), after a first one."""
    run()
    wall, cpu, end = math.inf, math.inf, time.perf_counter() + seconds
    while wall == math.inf or time.perf_counter() < end:
        start, busy = time.perf_counter(), time.process_time()
        run()
        cpu = min(cpu, time.process_time() - busy)
        wall = min(wall, time.perf_counter() - start)
    return Rate(clouds / wall, clouds / cpu)


def agreement(clouds: torch.Tensor) -> float:
    """Share of pixels on which the two differ by more than 1e-4 (float32 rounding at an edge)."""
    ours = project_depth(clouds, SIZE, splat=SPLAT)[:, :, 0].numpy()
    return float((np.abs(ours - plain_loop(clouds.numpy())) > 1e-4).mean())


def measure(seconds: float) -> dict[str, Rate]:
    clouds = spheres(BATCH)
    colors = clouds.add(1).div(2)
    few = clouds[:8].numpy()
    rates = {"plain loop": rate(lambda: plain_loop(few), len(few), seconds)}
    for threads in sorted({1, min(2, torch.get_num_threads()), torch.get_num_threads()}):
        torch.set_num_threads(threads)
        jobs: dict[str, Callable[[], object]] = {
            "depth, 6 views": lambda: project_depth(clouds, SIZE, splat=SPLAT),
            "depth, 6 views, splat 1": lambda: project_depth(clouds, SIZE, splat=1),
            "depth, 20 views": lambda: project_depth(
                clouds, SIZE, splat=SPLAT, views=DODECAHEDRON_VIEWS
            ),
            "colour, 6 views": lambda: project_color(clouds, colors, SIZE, splat=SPLAT),
        }
        for name, job in jobs.items():
            rates[f"{name}, {threads} thread{'s' * (threads > 1)}"] = rate(job, BATCH, seconds)
    return rates


def table(rates: dict[str, Rate]) -> str:
    base = rates["plain loop"]
    lines = [
        "| what | clouds/s | times the loop | clouds/CPU s | times the loop |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {one.wall:,.0f} | {one.wall / base.wall:.1f} "
        f"| {one.cpu:,.0f} | {one.cpu / base.cpu:.1f} |"
        for name, one in rates.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    different = agreement(spheres(8))
    assert different < 1e-3, f"{different:.2%} of the pixels differ from the plain loop"
    rates = measure(arguments.seconds)
    depth = [f"depth, 6 views, {threads}" for threads in ("1 thread", "2 threads")]
    reached = max(rates[name].wall for name in depth if name in rates)
    machine = (
        f"{processor()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    report = {
        "machine": machine,
        "protocol": f"{POINTS} points, {SIZE} x {SIZE} pixels, splat {SPLAT} unless said, batches "
        f"of {BATCH}, float32, best of the runs in {arguments.seconds:g} s",
        "goal_clouds_per_second": GOAL,
        "pixels_that_differ_from_the_plain_loop": different,
        "clouds_per_second": {name: round(one.wall, 1) for name, one in rates.items()},
        "clouds_per_cpu_second": {name: round(one.cpu, 1) for name, one in rates.items()},
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "views.json").write_text(json.dumps(report, indent=2) + "\n")
    text = f"# Projected views\n\n{report['protocol']}. Machine: {machine}.\n\n{table(rates)}\n"
    (arguments.output / "views.md").write_text(text)
    print(text)
    print(f"goal {GOAL} clouds/s: {'reached' if reached >= GOAL else 'missed'} ({reached:,.0f})")


if __name__ == "__main__":
    main()
