"""Everything that only a GPU can show, in order of worth, as far as the minutes go.

    python -m benchmarks.gpu --minutes 30 [--data FOLDER] [--output runs/gpu] [--device cpu]

Seven parts: the CUDA ops beside the native ones and the released auction; ONNX and both TensorRTs,
with points sampled by graph, host and device, built, verified and timed beside torch eager,
compiled and as a CUDA graph; the training step of each student beside its plain port; a short
training of every stage in float32 and by autocast, with the operations that take the time; one with
compiled encoders, on a GPU as CUDA graphs; students in int8 and bfloat16 on two threads of the
processor, which in such machines often has products for them; and the recipe `modelnet40`, as far
as it comes. With data the engines are those of the student of ModelNet40 that the package ships,
and are verified on its whole test split. Nothing is fetched. A part's result is written to
OUTPUT/<part>.json as soon as it is there, and the same command goes on with the next one; the last
part resumes. Without a GPU it says so and does what the CPU can of the second part, or, with
`--device cpu`, all of it in small.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_parts.engines import engines
from benchmarks.gpu_parts.job import SMALL, Job, Report, command, program
from benchmarks.ops_parts.clock import milliseconds
from benchmarks.ops_parts.problems import pairs
from pointcmt.ops import native, reference
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

PRECISIONS = ("float32", "bf16", "fp16")
SHOWN = 15  # operations of a profile


def ops(job: Job) -> Report:
    """CUDA against reference and released auction; on the CPU native against reference."""
    if not job.small:
        return command(job, sys.executable, "-m", "benchmarks.ops_gpu", "--output", job.output)
    x, y = pairs("resample", 2, 64, torch.Generator().manual_seed(0))
    calls: dict[str, Callable[[Any], torch.Tensor]] = {
        "farthest point sampling": lambda backend: backend.farthest_point_sample(x, 16),
        "ball query": lambda backend: backend.ball_query(x, x[:, :16], 0.2, 8),
        "kNN": lambda backend: backend.knn(x, x, 8),
        "matching": lambda backend: backend.emd_matching(x, y),
    }
    cpu = torch.device("cpu")
    return {
        name: {
            "equal": torch.equal(call(native), call(reference)),
            "native ms": milliseconds(partial(call, native), 5, cpu),
            "reference ms": milliseconds(partial(call, reference), 5, cpu),
        }
        for name, call in calls.items()
    }


def students(job: Job) -> Report:
    """Train each student for some steps, and its plain port."""
    words: list[object] = [sys.executable, "-m", "benchmarks.training_gpu", "--output", job.output]
    words += ["--device", job.device]
    words += ["--only", "pointnet", "--batch", "2", "--steps", "1"] if job.small else []
    return command(job, *words)


def stages(job: Job) -> Report:
    """Train every stage briefly in each precision; say how long a step takes, and on what."""
    found: Report = {}
    for precision in PRECISIONS:
        overrides = [f"compute.precision={precision}", f"device={job.device}"]
        overrides += [f"{stage}.epochs=2" for stage in ("teacher", "generator", "training")]
        root = job.output / "stages" / precision
        config = load_config("shapes", [*overrides, *(SMALL if job.small else ())])
        with torch.profiler.profile() as profile:
            result = run(config, root)
        by = "self_cuda_time_total" if job.device == "cuda" else "self_cpu_time_total"
        table = profile.key_averages().table(sort_by=by, row_limit=SHOWN)
        (job.output / f"profile_{precision}.txt").write_text(table + "\n")
        found[precision] = {"seconds": result["seconds"], "overall": result["student"]["overall"]}
    return found


def compiled(job: Job) -> Report:
    """Train every stage briefly with compiled encoders; on a GPU they are replayed as graphs."""
    root = job.output / "compiled"
    words = ["shapes", f"device={job.device}", "compute.compile=true"]
    words += ["compute.cuda_graphs=true"] if job.device == "cuda" else []
    words += [f"{stage}.epochs=2" for stage in ("teacher", "generator", "training")]
    report = command(job, program("train"), *words, *(SMALL if job.small else ()), "-o", root)
    if report["status"] == 0:
        report["seconds"] = json.loads((root / "result.json").read_text())["seconds"]
    return report


def reduced(job: Job) -> Report:
    """Export students in int8 and bfloat16, and time them on the CPU beside float32."""
    program = (sys.executable, "-m", "benchmarks.precision")
    place = job.output / "reduced"
    chosen = ("--student", "pointnet2-ssg") if job.small else ()
    prepared = command(job, *program, "prepare", place, *chosen)
    how = ("--threads", "2", "--seconds", "0.1" if job.small else "3", "--out", job.output)
    return {
        "prepared": prepared,
        "timed": command(job, *program, "measure", place, *chosen, *how),
    }


def recipe(job: Job) -> Report:
    """The paper's recipe, until it or the time is over."""
    if not job.data:
        return {"not run": "name ModelNet40's folder with --data"}
    words = ["modelnet40", f"data.root={job.data}", f"device={job.device}", "--json"]
    if job.small:
        words += ["data.fraction=0.02", "training.epochs=1", *SMALL[:1], *SMALL[2:]]
        words += [f"{stage}.epochs=1" for stage in ("teacher", "generator")]
        words += ["teacher.batch_size=32", "student=pointnet2-ssg"]
    return command(job, program("train"), *words, "-o", job.output / "modelnet40")


PARTS: dict[str, Callable[[Job], Report]] = {
    each.__name__: each for each in (ops, engines, students, stages, compiled, reduced, recipe)
}


def measure(job: Job, parts: dict[str, Callable[[Job], Report]]) -> None:
    """Do the parts that are not done, and write each."""
    job.output.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        path = job.output / f"{name}.json"
        if path.is_file():
            print(f"{name}: done before")
            continue
        if job.left <= 0:
            print(f"{name}: no time is left; run the same command again")
            return
        start = time.monotonic()
        found = part(job)
        if found.get("status") == 130:  # the time was over; it resumes
            print(f"{name}: not finished; run the same command again")
            return
        place = torch.cuda.get_device_name() if job.device == "cuda" else "cpu"
        report = {"device": place, "torch": torch.__version__, "seconds": time.monotonic() - start}
        path.write_text(json.dumps({**report, "found": found}, indent=1) + "\n")
        print(f"{name}: {path}", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--data", default="", help="ModelNet40's HDF5 folder")
    parser.add_argument("--output", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    asked = parser.parse_args(arguments)
    job = Job(asked.device, asked.output, asked.data, time.monotonic() + 60 * asked.minutes)
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("No GPU that torch can use is here: only the formats are built, on the CPU.")
        job = Job("cpu", asked.output, asked.data, job.end)
        measure(job, {"engines": engines})
        return
    measure(job, PARTS)


if __name__ == "__main__":
    main()
