"""Read damaged files of every format: each gives a sound cloud or one sentence, within a budget.

    python -m benchmarks.damaged_files [--files 10000]

Writes benchmarks/results/damaged_files.{json,md}. The seed decides the files.
"""

import argparse
import json
import platform
import tempfile
import time
import tracemalloc
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud
from pointcmt.geometry.formats.source import FACTOR, FREE_BYTES
from tests.reference.cloud_files import damaged, examples

RESULTS = Path(__file__).parent / "results"
APART = ("cloud.laz",)  # read by a process of its own, so fewer
LIBRARIES = ("Traceback", "Error:", "errno", "numpy.", "object at 0x", "codec")


def read(path: Path) -> tuple[str, float, int]:
    """Return what came of it, the seconds of the processor, and the peak of memory in bytes."""
    tracemalloc.reset_peak()
    before, start = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        cloud = read_cloud(path, points=32)
    except InputError as error:
        text = str(error)
        bad = "\n" in text or any(word in text for word in LIBRARIES) or str(path) not in text
        outcome = "not a sentence" if bad else "refused"
    except Exception as error:
        outcome = f"raised {type(error).__name__}"
    else:
        sound = cloud.points.shape == (32, 3) and bool(np.isfinite(cloud.points).all())
        outcome = "read" if sound else "unsound"
    seconds = time.process_time() - start
    return outcome, seconds, tracemalloc.get_traced_memory()[1] - before


def table(report: dict[str, Any]) -> str:
    facts = report["machine"]
    lines = [
        "# Damaged files",
        "",
        f"`python -m benchmarks.damaged_files`: {report['files']} files, "
        "made from one valid file of each kind by cutting, doubling a part, changing bytes and "
        f"enlarging numbers (seed 0). {facts['cpu']}, Python {facts['python']}; times with "
        "the memory tracing on.",
        "",
        "Sound: a finite cloud of the size asked for. Refused: an `InputError` of one line that "
        "names the file and quotes no library.",
        "",
        "| file | bytes | read | refused | anything else | slowest, ms | most memory, KiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in report["kinds"].items():
        other = ", ".join(f"{n} {what}" for what, n in row["other"].items()) or "0"
        lines.append(
            f"| {name} | {row['bytes']} | {row['read']} | {row['refused']} | {other} "
            f"| {1000 * row['seconds']:.0f} | {row['peak'] / 1024:.0f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    files = parser.parse_args().files
    kinds = examples()
    rng = np.random.default_rng(0)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    worst: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    share = -(-files // len(kinds))
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as folder:
        for name, whole in kinds.items():
            path = Path(folder) / name
            for raw in damaged(whole, rng, share // 10 if name in APART else share):
                path.write_bytes(raw)
                outcome, seconds, peak = read(path)
                assert peak < FREE_BYTES + FACTOR * len(raw), (name, peak)
                found[name][outcome] += 1
                worst[name] = [max(worst[name][0], seconds), max(worst[name][1], peak)]
    report = {
        "files": sum(sum(outcomes.values()) for outcomes in found.values()),
        "machine": {"cpu": platform.machine(), "python": platform.python_version()},
        "kinds": {
            name: {
                "bytes": len(kinds[name]),
                "read": outcomes.pop("read", 0),
                "refused": outcomes.pop("refused", 0),
                "other": dict(outcomes),
                "seconds": worst[name][0],
                "peak": worst[name][1],
            }
            for name, outcomes in found.items()
        },
    }
    (RESULTS / "damaged_files.json").write_text(json.dumps(report, indent=2) + "\n")
    (RESULTS / "damaged_files.md").write_text(table(report))
    print(table(report))


if __name__ == "__main__":
    main()
