"""How fast each student trains on a GPU, beside its plain port.

    python -m benchmarks.training_gpu [--only dgcnn pointnet] [--batch 32] [--steps 20]
                                      [--settings float32 tf32 bf16 compiled]
                                      [--device cuda] [--output benchmarks/results]

Cross-entropy and AdamW on clouds of 1,024 random points, as `pointcmt-train` takes a step: ours in
float32, with `compute.tf32`, in bf16 by autocast, with `compute.compile`, and the plain port of the
same weights in float32, in eager torch. Clouds a second of the second of two passes of `--steps`
steps, the GPU waited for at the end of each; memory is the most that torch held on the GPU.
Compiling is not counted. What cannot run is listed with the reason. Students measured before are
kept. Writes training_gpu.{json,md}.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.plain_students import PORTS, plain_port
from pointcmt.models import create_student
from pointcmt.ops.tensors import finite_by_the_caller
from pointcmt_training.compute import autocast, compiled, set_up
from pointcmt_training.config import ComputeConfig

POINTS, CLASSES = 1024, 40
MIB = 2**20
SETTINGS = {
    "float32": ComputeConfig(),
    "tf32": ComputeConfig(tf32=True),
    "bf16": ComputeConfig(precision="bf16"),
    "compiled": ComputeConfig(compile=True),
}
PLAIN = "plain port"
Row = dict[str, Any]


def rate(
    network: nn.Module,
    classify: Callable[[Tensor], Tensor],
    compute: ComputeConfig,
    args: argparse.Namespace,
) -> dict[str, float]:
    """Train a network; return clouds a second and MiB."""
    device = torch.device(args.device)
    set_up(compute)
    points = torch.rand(args.batch, POINTS, 3, device=device)
    labels = torch.arange(args.batch, device=device) % CLASSES
    optimizer = torch.optim.AdamW(network.parameters())
    wait: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = 0.0
    for _ in range(2):
        wait()
        start = time.perf_counter()
        for _ in range(args.steps):
            optimizer.zero_grad()
            with autocast(compute, device), finite_by_the_caller():
                loss = nn.functional.cross_entropy(classify(points).float(), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        wait()
        seconds = time.perf_counter() - start
    held = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return {"rate": args.batch * args.steps / seconds, "mib": held / MIB}


def measure(name: str, args: argparse.Namespace) -> Row:
    """Measure a student in every setting, and its plain port."""
    row: Row = {"steps": args.steps}
    for setting in (*args.settings, PLAIN):
        torch.manual_seed(0)
        student: Any = create_student(name, CLASSES).train()
        network = plain_port(name, student) if setting == PLAIN else student
        network.to(args.device)
        compute = SETTINGS.get(setting, SETTINGS["float32"])
        classify = network if setting == PLAIN else _classifier(student, compute)
        if args.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            row[setting] = rate(network, classify, compute, args)
        except RuntimeError as error:
            row[setting] = {"reason": str(error).splitlines()[0]}
        del student, network, classify
        gc.collect()
    return row


def _classifier(student: Any, compute: ComputeConfig) -> Callable[[Tensor], Tensor]:
    encode = compiled(student.encode, compute)
    return lambda points: student.classify(encode(points))


def table(found: dict[str, Row], about: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = ["# Training on a GPU", "", (__doc__ or "").split("\n\n")[2].replace("\n", " "), ""]
    lines += [", ".join(f"{key} {value}" for key, value in about.items()), ""]
    columns = [*SETTINGS, PLAIN]
    lines += [f"| clouds/s | {' | '.join(columns)} | float32 over it | MiB | its | steps |"]
    lines += ["|---|" + "---:|" * (len(columns) + 4)]
    for name, row in found.items():
        own, plain = row["float32"], row[PLAIN]
        cells = [f"{row[s]['rate']:.0f}" if "rate" in row.get(s, {}) else "" for s in columns]
        cells += [
            f"{own['rate'] / plain['rate']:.1f}x" if "rate" in own and "rate" in plain else ""
        ]
        cells += [f"{own.get('mib', 0):.0f}", f"{plain.get('mib', 0):.0f}", str(row["steps"])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    reasons = [
        f"{name}, {setting}: {row[setting]['reason']}"
        for name, row in found.items()
        for setting in columns
        if "reason" in row.get(setting, {})
    ]
    return "\n".join(lines + [""] * bool(reasons) + reasons) + "\n"


def before(output: Path, about: dict[str, Any]) -> dict[str, Row]:
    """Return the students that were measured before in the same way."""
    file = output / "training_gpu.json"
    known = json.loads(file.read_text()) if file.is_file() else {}
    rows: dict[str, Row] = known["found"] if known.get("about") == about else {}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(PORTS), choices=list(PORTS))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    place = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    about = {"device": place, "torch": torch.__version__, "batch": args.batch}
    args.output.mkdir(parents=True, exist_ok=True)
    found = before(args.output, about)
    for name in args.only:
        found[name] = measure(name, args)
        record = json.dumps({"about": about, "found": found}, indent=1)
        (args.output / "training_gpu.json").write_text(record + "\n")
        (args.output / "training_gpu.md").write_text(table(found, about))
    print(table(found, about))


if __name__ == "__main__":
    main()
