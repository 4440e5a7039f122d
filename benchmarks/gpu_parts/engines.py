"""Exports for a GPU: built, verified on real clouds where they are at hand, and timed."""

import json
from pathlib import Path

import torch

from benchmarks.gpu_parts.job import SMALL, Job, Report, command, program
from pointcmt.checkpoint import ModelConfig, save_student
from pointcmt.models import create_student
from pointcmt_export.options import ON_DEVICE
from pointcmt_serve.pretrained import located
from pointcmt_training.recipe import load_config

BATCHES = (1, 32, 128)  # of the paper's column, and around it
EXPORTS = [  # format, who samples, precision
    ("onnx", "graph", "fp32"),
    *((form, who, "fp32") for form in ON_DEVICE for who in ("graph", "host", "device")),
    *((form, "device", "fp16") for form in ON_DEVICE),
]


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
            built[name] = command(job, program("export"), model, "-o", made, *how)
        if made.is_dir():
            built[name] = _verified(made)
    exported = [job.output / "exports" / name for name in built if "verified" in built[name]]
    sizes = [word for size in BATCHES for word in ("--batch", str(size))]
    timed = command(
        job,
        *(program("export"), "bench", model, *exported, *sizes),
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
