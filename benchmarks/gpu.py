"""Everything that only a GPU can show, in order of worth, as far as the minutes go.

    python -m benchmarks.gpu --minutes 30 [--data FOLDER] [--output runs/gpu] [--device cpu]

Six parts: the CUDA ops beside the native ones and the released auction; ONNX and both TensorRTs,
with points sampled by graph, host and device, built, verified and timed beside torch eager,
compiled and as a CUDA graph; the training step of each student beside its plain port; a short
training of every stage in float32 and by autocast, with the operations that take the time; one with
compiled encoders, on a GPU as CUDA graphs; and the recipe `modelnet40`, as far as it comes. With
data the engines are those of the student of ModelNet40 that the package ships, and are verified on
its whole test split. Nothing is fetched. A part's result is written to OUTPUT/<part>.json as soon
as it is there, and the same command goes on with the next one; the last part resumes. Without a GPU
it says so and does what the CPU can of the second part, or, with `--device cpu`, all of it in
small.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.ops_parts.clock import milliseconds
from benchmarks.ops_parts.problems import pairs
from pointcmt.checkpoint import ModelConfig, save_student
from pointcmt.models import create_student
from pointcmt.ops import native, reference
from pointcmt_export.options import ON_DEVICE
from pointcmt_serve.pretrained import located
from pointcmt_training.recipe import load_config
from pointcmt_training.run import run

BATCHES = (1, 32, 128)  # of the paper's column, and around it
PRECISIONS = ("float32", "bf16", "fp16")
EXPORTS = [  # format, who samples, precision
    ("onnx", "graph", "fp32"),
    *((form, who, "fp32") for form in ON_DEVICE for who in ("graph", "host", "device")),
    *((form, "device", "fp16") for form in ON_DEVICE),
]
GRACE = 60  # seconds for a command to end after it was interrupted
SHOWN = 15  # operations of a profile
SMALL = [
    "data.points=64",
    "data.per_class=4",
    "views.size=32",
    "generator.points=32",
    "options={width: 0.25, centres: [16, 8], neighbours: [[4], [4]], feature_dim: 64}",
]
Report = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        device: "cuda" or "cpu"; on the CPU everything is small.
        output: the folder of results.
        data: ModelNet40's HDF5 folder, or "".
        end: when to stop, by `time.monotonic`.
    """

    device: str
    output: Path
    data: str
    end: float

    @property
    def small(self) -> bool:
        return self.device == "cpu"

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()


def ops(job: Job) -> Report:
    """CUDA against reference and released auction; on the CPU native against reference."""
    if not job.small:
        return _command(job, sys.executable, "-m", "benchmarks.ops_gpu", "--output", job.output)
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


def engines(job: Job) -> Report:
    """Build and verify each export that can be made here, and time every engine on it."""
    model = _random_student(job) if job.small or not job.data else located(Path("modelnet40"))
    model = model / "model" if (model / "model").is_dir() else model
    data = ("--data", f"modelnet40:{job.data}") if job.data and not job.small else ()
    built: Report = {}
    for form, who, precision in EXPORTS:
        name = f"{form}-{who}-{precision}"
        made = job.output / "exports" / name
        how = ("--format", form, "--sampling", who, "--precision", precision, *data)
        if not made.is_dir():
            built[name] = _command(job, _program("export"), model, "-o", made, *how)
        if made.is_dir():
            built[name] = _verified(made)
    exported = [job.output / "exports" / name for name in built if "verified" in built[name]]
    sizes = [word for size in BATCHES for word in ("--batch", str(size))]
    timed = _command(
        job,
        *(_program("export"), "bench", model, *exported, *sizes),
        *("--seconds", "0.1" if job.small else "1"),
        *("--device", job.device, "--out", job.output / "engines"),
    )
    return {"built": built, "timed": timed}


def _random_student(job: Job) -> Path:
    name, options = ("pointnet2-ssg", load_config("shapes", SMALL).options)
    if not job.small:
        name, options = "pointnet2-msg", {}
    classes = tuple(f"class {number}" for number in range(40))
    model = job.output / "student"
    if not model.is_dir():
        torch.manual_seed(0)
        student = create_student(name, len(classes), **options).eval()
        points = 64 if job.small else 1024
        save_student(model, student, ModelConfig(name, options, classes, points))
    return model


def _verified(exported: Path) -> Report:
    """Return what the gate found: accuracy, speed and indices, of the checkpoint and the engine."""
    report = json.loads((exported / "export_report.json").read_text())
    told = ("accuracy", "speed", "indices", "logits")
    return {
        "verified": {
            check["name"]: f"{check['status']}: {check['detail']}"
            for check in report["checks"]
            if check["name"].split()[-1] in told
        }
    }


def students(job: Job) -> Report:
    """Train each student for some steps, and its plain port."""
    words: list[object] = [sys.executable, "-m", "benchmarks.training_gpu", "--output", job.output]
    words += ["--device", job.device]
    words += ["--only", "pointnet", "--batch", "2", "--steps", "1"] if job.small else []
    return _command(job, *words)


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
    report = _command(job, _program("train"), *words, *(SMALL if job.small else ()), "-o", root)
    if report["status"] == 0:
        report["seconds"] = json.loads((root / "result.json").read_text())["seconds"]
    return report


def recipe(job: Job) -> Report:
    """The paper's recipe, until it or the time is over."""
    if not job.data:
        return {"not run": "name ModelNet40's folder with --data"}
    words = ["modelnet40", f"data.root={job.data}", f"device={job.device}", "--json"]
    if job.small:
        words += ["data.fraction=0.02", "training.epochs=1", *SMALL[:1], *SMALL[2:]]
        words += [f"{stage}.epochs=1" for stage in ("teacher", "generator")]
        words += ["teacher.batch_size=32", "student=pointnet2-ssg"]
    return _command(job, _program("train"), *words, "-o", job.output / "modelnet40")


PARTS: dict[str, Callable[[Job], Report]] = {
    each.__name__: each for each in (ops, engines, students, stages, compiled, recipe)
}


def _program(name: str) -> Path:
    return Path(sys.executable).with_name(f"pointcmt-{name}")


def _command(job: Job, *words: object) -> Report:
    """Run a command until it or the time is over; return its status and the end of its words."""
    process = subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=max(1.0, job.left))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    last = [line for line in said.replace("\r", "\n").splitlines() if line.strip()][-1:]
    return {"status": process.returncode, "said": "".join(last)}


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
