"""`python -m pointcmt.ops`: which implementation serves each op here, each proved and timed."""

import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import click
import torch
from torch import Tensor

from pointcmt import native, ops
from pointcmt.ops import backends, reference

POINTS = 1024
BATCH = 32
Case = tuple[str, Callable[..., Tensor], tuple[Any, ...]]


def cases(batch: int, device: torch.device) -> list[Case]:
    """Each op with arguments of the size of a PointNet++ step, from a fixed seed."""
    seeded = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, batch, POINTS, 3, generator=seeded).to(device)
    centers = y[:, : POINTS // 2]
    return [
        ("farthest_point_sample", ops.farthest_point_sample, (x, POINTS // 2)),
        ("ball_query", ops.ball_query, (x, centers, 0.2, 32)),
        ("knn", ops.knn, (centers, x, 20)),
        ("emd_matching", ops.emd_matching, (x, y)),
    ]


def agrees(name: str, result: Tensor, arguments: tuple[Any, ...]) -> bool:
    """Whether a result equals the reference's; for the matching, whether its cost is near."""
    plain = [a.cpu() if isinstance(a, Tensor) else a for a in arguments]
    expected: Tensor = getattr(reference, name)(*plain)
    if name != "emd_matching":
        return torch.equal(result.cpu(), expected)
    table = reference.distances(*plain)
    cost, best = (table.gather(2, m[..., None]).sum((1, 2)) for m in (result.cpu(), expected))
    return torch.allclose(cost, best, rtol=1e-9 if result.device.type == "cpu" else 2e-3, atol=0)


def milliseconds(op: Callable[..., Tensor], arguments: tuple[Any, ...]) -> float:
    """The median of a few runs, the GPU waited for."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        op(*arguments)
        if arguments[0].is_cuda:
            torch.cuda.synchronize(arguments[0].device)
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def measurements() -> Iterator[dict[str, Any]]:
    """One row for each op and device."""
    devices = [torch.device("cpu")]
    devices += [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    for device in devices:
        backend = backends.serving(device).__name__.rpartition(".")[2]
        detail = native.instruction_set() if backend == "native" else None
        size = BATCH if backend != "reference" else 1  # the plain ones would take too long
        for (name, op, few), (_, _, many) in zip(
            cases(1, device), cases(size, device), strict=True
        ):
            ok = agrees(name, op(*few), few)
            yield {
                "op": name,
                "device": str(device),
                "backend": f"{backend} ({detail})" if detail else backend,
                "ok": ok,
                "clouds": size,
                "milliseconds": round(milliseconds(op, many), 2),
            }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def main(as_json: bool) -> None:
    """Show which implementation serves each op here, checked against the reference and timed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", native.MissingBackendWarning)  # the table says it
        table = list(measurements())
    if as_json:
        click.echo(json.dumps(table, indent=2))
    else:
        show(table)
    if not all(row["ok"] for row in table):
        raise SystemExit(1)


def show(table: list[dict[str, Any]]) -> None:
    """Print the table, and what to install where only the reference serves."""
    click.echo(f"{'op':23}{'device':8}{'backend':17}{'self-test':11}time ({POINTS} points a cloud)")
    for row in table:
        test = "ok" if row["ok"] else "WRONG"
        spent = f"{row['milliseconds']:g} ms for {row['clouds']} clouds"
        click.echo(f"{row['op']:23}{row['device']:8}{row['backend']:17}{test:11}{spent}")
    click.echo(f"{torch.get_num_threads()} CPU threads")
    for device in {row["device"] for row in table if row["backend"] == "reference"}:
        click.echo(f"slow on {device} for want of {backends.missing(device.partition(':')[0])}")
