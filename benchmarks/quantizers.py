"""Two ways to int8, on the student of ModelNet40 that comes with the package.

    pip install nncf
    python -m benchmarks.quantizers FOLDER [--output benchmarks/results]

FOLDER holds ModelNet40's HDF5 files. `--precision int8` (onnxruntime's quantiser, told what to
leave in float32) and NNCF by its presets see the same 128 training clouds. OpenVINO runs all in one
thread, host-sampled, in batches of 32, on the whole test split. Writes quantizers.{json,md}.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from benchmarks.machine import processor
from pointcmt.data import ModelNet40
from pointcmt.files import write_beside
from pointcmt_export.exporter import export
from pointcmt_export.onnx_file import read_onnx
from pointcmt_export.options import Limits, Options
from pointcmt_export.reduced import CALIBRATING
from pointcmt_export.verify.runners import metadata
from pointcmt_serve.host_indices import host_indices

Feeds = dict[str, NDArray[Any]]
STUDENT, BATCH, CALIBRATION_BATCH = "modelnet40", 32, 4
CPU = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
PRESETS = ("mixed", "performance")
HEAD = "| arithmetic | OA % | mAcc % | same class % | logits: mean, max | clouds/s |"


def exported(folder: Path, data: Path) -> Path:
    """Export the student in float32 and int8; no limit, since the figures are what is asked."""
    limits = Limits(accuracy_points=100.0)
    name = f"modelnet40:{data}"
    asked = Options(precision="int8", sampling="host", data=name, limit=BATCH, limits=limits)
    export(STUDENT, folder / "out", asked)
    return folder / "out"


def feeds(clouds: NDArray[np.float32], steps: list[dict[str, Any]], size: int) -> Iterator[Feeds]:
    """Yield the graph's inputs for clouds (n, N, 3), `size` at a time."""
    for start in range(0, len(clouds), size):
        part = clouds[start : start + size]
        yield {"points": part, **host_indices(steps, part)}


def by_nncf(file: Path, preset: str, shown: list[Feeds]) -> Any:
    """Quantise a graph by NNCF's preset, with the ranges that `shown` has."""
    nncf: Any = import_module("nncf")
    return nncf.quantize(
        openvino.Core().read_model(file),
        nncf.Dataset(shown),
        subset_size=len(shown),
        preset=nncf.QuantizationPreset(preset),
        target_device=nncf.TargetDevice.CPU,
    )


def measure(model: Any, batches: list[Feeds]) -> tuple[NDArray[np.float32], float]:
    """Return the logits (n, C) of a graph, and clouds a second of processor time."""
    compiled = openvino.Core().compile_model(model, "CPU", CPU)
    names = [each.get_any_name() for each in compiled.inputs]
    compiled({name: batches[0][name] for name in names})
    start = time.process_time()
    logits = [compiled({n: feed[n] for n in names})[compiled.output(0)].copy() for feed in batches]
    taken = time.process_time() - start
    return np.concatenate(logits), sum(len(feed["points"]) for feed in batches) / taken


def row(
    logits: NDArray[np.float32], full: NDArray[np.float32], labels: NDArray[np.int64]
) -> dict[str, float]:
    """Return what less precision did to the answers."""
    guesses, moved = logits.argmax(1), np.abs(logits - full)
    right = guesses == labels
    return {
        "oa": 100 * float(right.mean()),
        "macc": 100 * float(np.mean([right[labels == k].mean() for k in np.unique(labels)])),
        "same": 100 * float((guesses == full.argmax(1)).mean()),
        "mean": float(moved.mean()),
        "max": float(moved.max()),
    }


def compared(data: Path) -> dict[str, dict[str, float]]:
    """Return the figures of float32, our int8 and NNCF's."""
    with tempfile.TemporaryDirectory() as room:
        folder = exported(Path(room), data)
        model, artefact = read_onnx(folder)
        steps = json.loads(metadata(model)["inputs"])
        train, test = (ModelNet40(data, split, artefact.points) for split in ("train", "test"))
        chosen = np.linspace(0, len(train) - 1, CALIBRATING).astype(int)
        shown = list(feeds(train.points[chosen], steps, CALIBRATION_BATCH))
        file = folder / "model.onnx"
        graphs = {"float32": file, "int8 of `--precision int8`": folder / "model.int8.onnx"}
        graphs |= {f"int8 of NNCF, {preset}": by_nncf(file, preset, shown) for preset in PRESETS}
        batches = list(feeds(test.points, steps, BATCH))
        found = {name: measure(graph, batches) for name, graph in graphs.items()}
    full, _ = found["float32"]
    return {
        name: row(logits, full, test.labels) | {"clouds_per_s": rate}
        for name, (logits, rate) in found.items()
    }


def table(figures: dict[str, dict[str, float]]) -> str:
    """Return the figures as a page."""
    about = f"{processor()}, one thread, OpenVINO {version('openvino')}, NNCF {version('nncf')}."
    lines = ["# Ways to int8", "", " ".join(str(__doc__).split("\n\n")[2].split()), "", about, ""]
    lines += [HEAD, "|---|---:|---:|---:|---:|---:|"]
    for name, f in figures.items():
        logits = f"{f['mean']:.3f}, {f['max']:.2f}"
        cells = (name, f"{f['oa']:.2f}", f"{f['macc']:.2f}", f"{f['same']:.2f}", logits)
        lines.append(f"| {' | '.join(cells)} | {f['clouds_per_s']:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compare the quantisers and write the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    asked = parser.parse_args()
    figures = compared(asked.data)
    page = table(figures)
    for name, text in (("json", json.dumps(figures, indent=2) + "\n"), ("md", page)):
        with write_beside(asked.output / f"quantizers.{name}") as fresh:
            fresh.write_text(text)
    print(page)


if __name__ == "__main__":
    main()
