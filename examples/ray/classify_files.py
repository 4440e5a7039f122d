"""Classify a folder or bucket of files with Ray Data, on as many machines as Ray has.

    python examples/ray/classify_files.py DIR s3://bucket/scans answers.parquet

DIR is an exported folder that every machine can read. A file that cannot be read gets an `error`. A
worker that dies is started again, and its files are classified by it or another, once.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import ray

from pointcmt.errors import InputError
from pointcmt.geometry import read_points
from pointcmt_serve import Classifier

WORKERS, BATCH = (1, 64), 32  # the fewest and the most; files together


class Classify:
    """One worker, with the network in memory."""

    def __init__(self, model: str) -> None:
        self.classifier = Classifier(model, threads=1)

    def __call__(self, files: dict[str, Any]) -> dict[str, Any]:
        """Classify a batch of files, given as their paths and bytes."""
        pairs = zip(files["path"], files["bytes"], strict=True)
        answers = [self.answer(path, content) for path, content in pairs]
        return {"path": files["path"]} | {
            key: [answer[key] for answer in answers] for key in ("label", "probability", "error")
        }

    def answer(self, path: str, content: bytes) -> dict[str, Any]:
        """Return the record of one file."""
        with tempfile.NamedTemporaryFile(suffix=Path(path).suffix) as file:
            file.write(content)
            file.flush()
            try:
                (best,) = self.classifier(read_points(file.name))
            except InputError as error:
                return {"label": "", "probability": 0.0, "error": str(error)}
        return {"label": best.label, "probability": best.probability, "error": ""}


def main(model: str, files: str, answers: str) -> None:
    """Classify `files` and write one Parquet table of answers into the folder `answers`."""
    found = ray.data.read_binary_files(files, include_paths=True)
    classified = found.map_batches(
        Classify, fn_constructor_args=(model,), batch_size=BATCH, concurrency=WORKERS
    )
    classified.write_parquet(answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
