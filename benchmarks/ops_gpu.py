"""How fast the ops are on a GPU, beside torch and beside the auction of the released code.

    python -m benchmarks.ops_gpu [--runs 20] [--output benchmarks/results]

Needs a GPU. Everything is timed in one run: median of several calls, from the call to the end of
its work, with the check of the input. Before it is timed, each op is compared with the reference.
Goal: the matching of 32 pairs of 1,024 points in at most 5 ms. Writes ops_gpu.json and ops_gpu.md.
"""

import argparse
import functools
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.ops_parts import expressions
from benchmarks.ops_parts.clock import Device, describe, milliseconds
from benchmarks.ops_parts.problems import KINDS, pairs
from benchmarks.ops_parts.released_auction import LAUNCHES, ROUNDS, ReleasedAuction
from pointcmt.ops import cuda, reference, tensors

GOAL_MS = 5.0
PASS_OPERATIONS = 30  # instructions to weigh one object: a distance, its units, a comparison
BID_OPERATIONS = 150  # instructions of a lane for a bid from a list
EXACT_PAIRS = 2  # of a batch, that scipy solves for the true error
Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """What is measured: pairs of clouds, points a cloud, and runs of each."""

    batch: int = 32
    points: int = 1024
    runs: int = 20


def matching_row(kind: str, sizes: Sizes, device: torch.device, machine: Device) -> Row:
    """The matching of one kind of pairs: time, its parts, its bound, and the baseline's."""
    generator = torch.Generator().manual_seed(0)
    x, y = (side.to(device) for side in pairs(kind, sizes.batch, sizes.points, generator))
    made = cuda.certified_matching(x, y)
    phases, rounds, bids, passes = (made.work.double().mean(0)).tolist()
    timed = functools.partial(milliseconds, runs=sizes.runs, device=device)
    whole = timed(lambda: cuda.emd_matching(x, y))
    one_phase = timed(lambda: cuda.certified_matching(x, y, tolerance=1e9))
    check = timed(lambda: tensors.finite(x=x, y=y))
    auction = ReleasedAuction(x, y)
    baseline = milliseconds(auction.player(), min(3, sizes.runs), device)
    weighed = made.work[:, 3] * sizes.points * PASS_OPERATIONS
    busiest = weighed + made.work[:, 2] * 32 * BID_OPERATIONS
    return {
        "kind": kind,
        "ms": whole,
        "of it the check": check,
        "of it the first phase": one_phase - check,
        "of it later phases": whole - one_phase,
        "phases": phases,
        "rounds": rounds,
        "bids": bids,
        "passes": passes,
        "microseconds a round": (whole - check) * 1e3 / float(made.work[:, 1].max()),
        "bound by operations, ms": float(busiest.max()) / machine.operations * 1e3,
        "bound by bytes, ms": sizes.batch * sizes.points * 32 / machine.bandwidth * 1e3,
        "largest proved gap": float(made.gap.max()),
        "largest true error": excess(x, y, made.matching),
        "baseline ms": baseline,
        "baseline true error": excess(x, y, auction.matching()),
        "baseline objects left out": left_out(auction.matching()),
        "times the baseline": baseline / whole,
    }


def excess(x: Tensor, y: Tensor, matching: Tensor) -> float:
    """How far the first pairs' costs lie above the optimum, relative to it, at most."""
    optimal = reference.emd_matching(x[:EXACT_PAIRS], y[:EXACT_PAIRS])

    def cost(chosen: Tensor) -> Tensor:
        matched = y[:EXACT_PAIRS].double().gather(1, chosen[..., None].expand(-1, -1, 3))
        moved = x[:EXACT_PAIRS].double() - matched
        total: Tensor = torch.linalg.vector_norm(moved, dim=-1).sum(1)
        return total

    return float((cost(matching[:EXACT_PAIRS]) / cost(optimal) - 1).max())


def left_out(matching: Tensor) -> int:
    """How many objects of the batch no person has."""
    return sum(len(row) - len(row.unique()) for row in matching)


@dataclass(frozen=True)
class Contest:
    """One op against torch: how each is called, and the least work its result needs."""

    name: str
    ours: Callable[[], Tensor]
    reference: Callable[[], Tensor]
    eager: Callable[[], Tensor]
    compiled: Callable[[], Tensor]
    moved: int  # bytes in and out
    operations: int  # float32 instructions


def contests(sizes: Sizes, device: torch.device, compiled: expressions.Compile) -> list[Contest]:
    """The sampling and neighbour ops at the sizes of the students."""
    generator = torch.Generator().manual_seed(1)
    b, n = sizes.batch, sizes.points
    xyz, _ = (side.to(device) for side in pairs("resample", b, n, generator))
    features = torch.rand(b, n, 64, generator=generator).to(device)
    eager_fps = expressions.farthest_point_sample(lambda step: step)
    compiled_fps = expressions.farthest_point_sample(compiled)
    fast_ball, fast_knn, fast_features = (
        compiled(one)
        for one in (expressions.ball_query, expressions.knn, expressions.knn_of_features)
    )
    m, k, radius = n // 2, min(32, n), 0.2
    centers, few = xyz[:, :m].contiguous(), min(20, n)
    return [
        Contest(
            f"farthest point sampling, {m} of {n}",
            lambda: cuda.farthest_point_sample(xyz, m),
            lambda: reference.farthest_point_sample(xyz, m),
            lambda: eager_fps(xyz, m),
            lambda: compiled_fps(xyz, m),
            b * (12 * n + 8 * m),
            b * n * m * 11,
        ),
        Contest(
            f"ball query, {m} centres, radius {radius}, k {k}",
            lambda: cuda.ball_query(xyz, centers, radius, k),
            lambda: reference.ball_query(xyz, centers, radius, k),
            lambda: expressions.ball_query(xyz, centers, radius, k),
            lambda: fast_ball(xyz, centers, radius, k),
            b * (12 * n + 12 * m + 8 * m * k),
            b * n * m * 9,
        ),
        Contest(
            f"kNN in space, k {few}",
            lambda: cuda.knn(xyz, xyz, few),
            lambda: reference.knn(xyz, xyz, few),
            lambda: expressions.knn(xyz, xyz, few),
            lambda: fast_knn(xyz, xyz, few),
            b * (24 * n + 8 * n * few),
            b * n * n * 9,
        ),
        Contest(
            f"kNN of 64 features, k {few}",
            lambda: cuda.knn(features, features, few),
            lambda: reference.knn(features, features, few),
            lambda: expressions.knn_of_features(features, features, few),
            lambda: fast_features(features, features, few),
            b * (512 * n + 8 * n * few),
            b * n * n * 64 * 3,
        ),
    ]


def contest_row(contest: Contest, sizes: Sizes, device: torch.device, machine: Device) -> Row:
    """Times of one op and of torch's, once the indices are seen to be right."""
    assert torch.equal(contest.ours(), contest.reference()), f"{contest.name}: wrong indices"
    ours, eager, compiled = (
        milliseconds(run, sizes.runs, device)
        for run in (contest.ours, contest.eager, contest.compiled)
    )
    operations = machine.operations * machine.multiprocessors
    return {
        "op": contest.name,
        "ms": ours,
        "torch eager, ms": eager,
        "torch.compile, ms": compiled,
        "times torch eager": eager / ours,
        "times torch.compile": compiled / ours,
        "bound by bytes, ms": contest.moved / machine.bandwidth * 1e3,
        "bound by operations, ms": contest.operations / operations * 1e3,
    }


def measure(
    sizes: Sizes, device: torch.device, machine: Device, compiled: expressions.Compile
) -> Row:
    """Everything, as the report that is written."""
    matchings = [matching_row(kind, sizes, device, machine) for kind in KINDS]
    others = [
        contest_row(contest, sizes, device, machine)
        for contest in contests(sizes, device, compiled)
    ]
    return {
        "machine": asdict(machine) | {"torch": torch.__version__, "cuda": torch.version.cuda},
        "protocol": f"{sizes.batch} clouds of {sizes.points} points, float32, median of "
        f"{sizes.runs} calls with the check of the input; baseline: eps 0.05, {ROUNDS} rounds of "
        f"{LAUNCHES} launches replayed from a CUDA graph, without a check",
        "clouds": KINDS,
        "goal_ms": GOAL_MS,
        "goal_reached": all(row["ms"] <= GOAL_MS for row in matchings),
        "matching": matchings,
        "others": others,
    }


def markdown(report: Row) -> str:
    """The report for reading."""
    machine = report["machine"]
    verdict = "reached" if report["goal_reached"] else "missed"
    return "\n\n".join(
        [
            "# Ops on the GPU",
            f"{machine['name']}, torch {machine['torch']}, CUDA {machine['cuda']}. "
            f"{report['protocol']}. Goal of {GOAL_MS} ms for the matching: {verdict}.",
            "## The matching",
            "A pair keeps one multiprocessor, so its bound by operations is that of the busiest "
            "pair on one: what is above it is waiting, mostly for the barriers of rounds in which "
            "few bid. Rounds, bids and passes over all objects are means over the pairs.",
            table(report["matching"]),
            "## Sampling and neighbours",
            "torch.compile is given the step of farthest point sampling, and the whole of the "
            "others. torch's kNN of features expands the square, so its indices are not exact.",
            table(report["others"]),
        ]
    )


def table(rows: list[Row]) -> str:
    """Rows of equal keys, as columns beside each other."""
    first, *keys = rows[0]
    lines = [f"| {first} | " + " | ".join(str(row[first]) for row in rows) + " |"]
    lines.append("|---|" + "---:|" * len(rows))
    lines += [f"| {key} | " + " | ".join(f"{row[key]:.4g}" for row in rows) + " |" for key in keys]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=Sizes.runs, help="calls timed of each op")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if not cuda.available():
        sys.exit("Error: benchmarks.ops_gpu needs a GPU that torch can use, and NVRTC")
    device = torch.device("cuda", torch.cuda.current_device())
    report = measure(Sizes(runs=arguments.runs), device, describe(device), torch.compile)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "ops_gpu.json").write_text(json.dumps(report, indent=2) + "\n")
    (arguments.output / "ops_gpu.md").write_text(markdown(report) + "\n")
    print(markdown(report))


if __name__ == "__main__":
    main()
