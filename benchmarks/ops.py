"""How fast the native ops are on the CPU, beside scipy, POT, lapx, fpsample, torch-cluster, torch.

    python -m benchmarks.ops [--threads 2] [--runs 3] [--output benchmarks/results]

Everything is timed in one run on equally many threads; contenders take turns and the median counts.
Cost matrices are charged to the libraries that need them, checks of the input to ours. Each result
is compared with the oracle first: the cost with scipy's, the indices with the reference's.
Libraries that are not installed are left out. Writes ops.json and ops.md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.ops_parts import expressions, peers, step
from benchmarks.ops_parts.problems import KINDS, pairs
from benchmarks.students import machine
from pointcmt import ops
from pointcmt.native import instruction_set
from pointcmt.ops import reference

BATCH = 32
CALLS = 5  # of ours for each of another's
SOME = {2048: 8}  # pairs given to scipy where a whole batch would take minutes
FEW = 2  # pairs given to solvers slower than scipy
# Wanted: how many times scipy's speed, by points a cloud and kind of pair.
GOALS = {
    256: dict.fromkeys(KINDS, 5.0),
    1024: {"cube": 20.0, "early": 30.0, "mid": 10.0, "late": 8.0, "resample": 10.0},
    2048: {"cube": 40.0, "early": 60.0, "mid": 20.0, "late": 9.0, "resample": 20.0},
}
SHARE = 0.10  # of a step of stage III that the distance may take
Row = dict[str, Any]
Run = Callable[[], object]


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(ours: Run, others: dict[str, Run], runs: int) -> dict[str, float]:
    """Milliseconds of a call by contender, who take turns."""
    times: dict[str, list[float]] = {name: [] for name in ("ours", *others)}
    ours()
    for _ in range(runs):
        times["ours"] += [seconds(ours) for _ in range(CALLS)]
        for name, run in others.items():
            times[name].append(seconds(run))
    return {name: statistics.median(each) * 1e3 for name, each in times.items()}


def matching_row(kind: str, points: int, runs: int, threads: int) -> Row:
    """Milliseconds a pair of each solver."""
    x, y = pairs(kind, BATCH, points, torch.Generator().manual_seed(points))
    solvers = peers.matchings(threads)
    scipy = solvers.pop("scipy")
    some = SOME.get(points, BATCH)
    a, b = x[:some], y[:some]
    found, optimal = ops.emd_matching(a, b), torch.from_numpy(scipy(a, b))
    torch.testing.assert_close(cost(a, b, found), cost(a, b, optimal), rtol=1e-9, atol=0)
    taken = medians(lambda: ops.emd_matching(x, y), {"scipy": lambda: scipy(a, b)}, runs)
    row: Row = {"ours": taken["ours"] / BATCH, "scipy": taken["scipy"] / some}
    for name, solve in solvers.items():
        start = time.perf_counter()
        solve(x[:FEW], y[:FEW])
        row[name] = (time.perf_counter() - start) / FEW * 1e3
    return {"points": points, "kind": kind, **row} | verdict(row, ["scipy"], GOALS[points][kind])


def cost(x: Tensor, y: Tensor, matching: Tensor) -> Tensor:
    moved = x.double() - y.double().gather(1, matching[..., None].expand(-1, -1, 3))
    total: Tensor = torch.linalg.vector_norm(moved, dim=-1).sum(1)
    return total


def verdict(row: Row, rivals: list[str], goal: float) -> Row:
    ratio = min(row[name] for name in rivals) / row["ours"]
    return {"ratio": ratio, "goal": goal, "reached": ratio >= goal}


@dataclass(frozen=True)
class Contest:
    """One op against others on the same input; the goal is against the fastest torch expression."""

    name: str
    goal: float
    ours: Callable[..., Tensor]
    reference: Callable[..., Tensor]
    torch: dict[str, Callable[..., Tensor]]
    libraries: dict[str, Callable[..., Any]]
    given: tuple[Any, ...]

    def row(self, runs: int) -> Row:
        """Milliseconds of a call of each, once the indices are seen to be right."""
        given = self.given
        assert torch.equal(self.ours(*given), self.reference(*given)), f"{self.name}: wrong indices"
        others: dict[str, Run] = {
            name: lambda run=run: run(*given)  # type: ignore[misc]
            for name, run in (self.torch | self.libraries).items()
        }
        taken = medians(lambda: self.ours(*given), others, runs)
        return {"op": self.name, **taken} | verdict(taken, list(self.torch), self.goal)


def contests(threads: int) -> list[Contest]:
    """The sampling and neighbour ops at the sizes of the students."""
    generator = torch.Generator().manual_seed(1)
    xyz, _ = pairs("resample", BATCH, 1024, generator)
    features = torch.rand(BATCH, 1024, 64, generator=generator)
    centers = xyz[:, :512].contiguous()
    loop = {"torch loop": expressions.farthest_point_sample(lambda run: run)}
    balls = {
        "torch topk": expressions.ball_query,
        "torch sort": expressions.ball_query_by_sort,
        "torch.cdist and topk": expressions.ball_query_by_cdist,
    }
    near = {
        "torch topk": expressions.knn,
        "torch.cdist and topk": expressions.knn_by_cdist,
        "torch product and topk": expressions.knn_of_features,
    }
    far = {name: run for name, run in near.items() if name != "torch topk"}  # 8 GB of differences
    sample, find, search = ops.farthest_point_sample, ops.ball_query, ops.knn
    return [
        Contest(
            "farthest point sampling, 512 of 1,024",
            *(20.0, sample, reference.farthest_point_sample, loop, peers.samplings(threads)),
            (xyz, 512),
        ),
        Contest(
            "ball query, 512 centres, radius 0.2, k 32",
            *(4.0, find, reference.ball_query, balls, {}),
            (xyz, centers, 0.2, 32),
        ),
        Contest("kNN in space, k 20", *(4.0, search, reference.knn, near, {}), (xyz, xyz, 20)),
        Contest(
            "kNN of 64 features, k 20",
            *(4.0, search, reference.knn, far, {}),
            (features, features, 20),
        ),
    ]


def markdown(report: Row) -> str:
    facts, share = report["machine"], report["step"]
    lines = [
        "# Ops on the CPU",
        "",
        f"Milliseconds, {report['protocol']}. {facts['cpu']}, {facts['cores']} cores, "
        f"{facts['threads']} threads, {report['instruction_set']}, load {facts['load']:.1f} at the "
        f"start, torch {facts['torch']}. Made by `python -m benchmarks.ops`.",
        "",
        "## Matching, a pair",
        "",
        f"The ratio is to scipy, which solves 8 of the pairs at 2,048 points; POT and lapx solve "
        f"{FEW} pairs once.",
        "",
        table(report["matching"]),
        "",
        "## A step of stage III",
        "",
        f"PointNet++ SSG, {BATCH} clouds of 1,024 points, forward, both enhancements, backward and "
        f"AdamW: {share['step']:.2f} s. The distance, forward and backward: "
        f"{share['EMD of the first step']:.3f} s on what the generator decodes for an untrained "
        f"student, {share['EMD after these steps']:.3f} s a few steps later; at most "
        f"{share['share']:.1%} of the step (goal: {SHARE:.0%}).",
        "",
        "## Sampling and neighbours, a batch",
        "",
        f"{BATCH} clouds. The ratio is to the fastest expression in torch.",
        "",
        *(table([row]) + "\n" for row in report["others"]),
    ]
    return "\n".join(lines)


def table(rows: list[Row]) -> str:
    """Rows of equal keys."""
    lines = [f"| {' | '.join(rows[0])} |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        lines.append(f"| {' | '.join(_cell(value) for value in row.values())} |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def measure(runs: int, threads: int) -> Row:
    torch.set_num_threads(threads)
    facts = machine()
    matching = []
    for points, goals in GOALS.items():
        for kind in goals:
            matching.append(matching_row(kind, points, runs, threads))
            print(matching[-1], flush=True)
    others = [contest.row(runs) for contest in contests(threads)]
    return {
        "machine": facts,
        "instruction_set": instruction_set(),
        "protocol": f"batches of {BATCH}, float32, median of {runs} calls ({runs * CALLS} of ours)",
        "clouds": KINDS,
        "matching": matching,
        "step": step.measure(runs),
        "others": others,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    report = measure(arguments.runs, arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "ops.json").write_text(json.dumps(report, indent=1) + "\n")
    (arguments.output / "ops.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
