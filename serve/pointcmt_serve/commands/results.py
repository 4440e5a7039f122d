"""Results of many files as they come: a CSV or JSON-lines file that a later run continues.

The file grows in place, a whole line at a time; a line that a killed run left unfinished is cut
off. What the results were made with lies beside it, so that no run continues those of another
model.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pointcmt.errors import InputError
from pointcmt.files import write_beside

FORMATS = (".csv", ".jsonl")
AS_NAMES: Any = {"encoding": "utf-8", "errors": "surrogateescape"}  # not all names are UTF-8
Record = Mapping[str, Any]


class Results:
    """The results of a run and of those it continues.

    Attributes:
        done: the files that have a result.
        failed: how many of them could not be classified.
    """

    def __init__(self, path: Path, model: Path, settings: Mapping[str, Any], top: int) -> None:
        """Open or begin the file.

        Args:
            path: ends in one of `FORMATS`.
            model: the file whose answers these are.
            settings: what else the answers depend on.
            top: how many classes a CSV line has.

        Raises:
            InputError: `path` ends otherwise, is no file of results or one of other settings.
        """
        if path.suffix not in FORMATS:
            raise InputError(f"{path}: name a file that ends in {' or '.join(FORMATS)}")
        self._path, self._columns = path, _columns(top)
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        made_with = json.dumps({"model_sha256": digest, "top": top, **settings}, indent=2)
        beside = path.with_name(f"{path.name}.settings.json")
        if path.is_file():
            _require_same(path, beside, made_with)
        else:
            with write_beside(beside) as fresh:
                fresh.write_text(f"{made_with}\n")
            path.write_text(self._line(dict(zip(self._columns, self._columns, strict=True)), True))
        self.done: set[str] = set()
        self.failed = 0
        self._read()

    def write(self, records: Iterable[Record]) -> None:
        """Add results."""
        with self._path.open("a", newline="", **AS_NAMES) as file:
            for record in records:
                file.write(self._line(_flat(record) if self._is_csv else record))
                self._note(record)

    @property
    def _is_csv(self) -> bool:
        return self._path.suffix == ".csv"

    def _line(self, record: Record, head: bool = False) -> str:
        if not self._is_csv:
            return "" if head else f"{json.dumps(record)}\n"
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerow(record)
        return text.getvalue()

    def _note(self, record: Record) -> None:
        self.done.add(record["file"])
        self.failed += bool(record.get("error"))

    def _read(self) -> None:
        with self._path.open("r+b") as raw:
            content = raw.read()
            raw.truncate(content.rfind(b"\n") + 1)
        try:
            with self._path.open(newline="", **AS_NAMES) as file:
                for record in csv.DictReader(file) if self._is_csv else map(json.loads, file):
                    self._note(record)
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise InputError(f"{self._path}: is no file of results ({error})") from error


def _require_same(path: Path, beside: Path, made_with: str) -> None:
    try:
        same = json.loads(beside.read_text()) == json.loads(made_with)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: exists, and nothing beside it says what made it; name another file"
        ) from error
    if not same:
        raise InputError(
            f"{path}: holds results of another model or of other options; name another file"
        )


def _columns(top: int) -> Sequence[str]:
    more = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("label", "probability")]
    return ("file", "label", "index", "probability", "up", "up_known", *more, "error")


def _flat(record: Record) -> Record:
    if "error" in record:
        return record
    flat = {name: record[name] for name in ("file", "label", "index", "probability")}
    flat |= {"up": record["up"]["axis"], "up_known": record["up"]["known"]}
    for rank, candidate in enumerate(record["top"][1:], start=2):
        flat[f"label_{rank}"] = candidate["label"]
        flat[f"probability_{rank}"] = candidate["probability"]
    return flat
