"""The export report: what was checked, on what machine, with the figures."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pointcmt import __version__
from pointcmt_export.machine import describe_machine, versions
from pointcmt_export.verify.check import Check, Thresholds, failed

FORMAT = "pointcmt-export-report-1"
REPORT_FILE = "export_report.json"


@dataclass(frozen=True)
class Report:
    """An export and its checks.

    Attributes:
        student: name of the network.
        source: what was exported, see `Source.to_json`.
        options: sampling, precision and format.
        thresholds: the limits in force.
        checks: every check.
        files: sha256 of each file, by its name.
        warnings: what to know of the student, a sentence each.
    """

    student: str
    source: Mapping[str, Any]
    options: Mapping[str, Any]
    thresholds: Thresholds
    checks: tuple[Check, ...]
    files: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """Return "failed" where a check failed, else "passed"."""
        return "failed" if failed(self.checks) else "passed"

    @property
    def engines(self) -> dict[str, dict[str, Any]]:
        """For each engine that serves the folder, what was shown: its `status` and figures.

        The status is "verified", "failed", or "not run" with the `reason`. Accuracy (`oa`, or for
        parts `instance_iou`, in percent) and `samples_per_s` stand there where they were measured.
        """
        named = dict.fromkeys(check.engine for check in self.checks if check.engine)
        return {name: _shown([c for c in self.checks if c.engine == name]) for name in named}

    def to_json(self) -> dict[str, Any]:
        """Return what `export_report.json` holds."""
        return {
            "format": FORMAT,
            "pointcmt": __version__,
            "status": self.status,
            "student": self.student,
            "source": dict(self.source),
            "options": dict(self.options),
            "thresholds": asdict(self.thresholds),
            "warnings": list(self.warnings),
            "engines": self.engines,
            "checks": [check.to_json() for check in self.checks],
            "files": dict(self.files),
            "machine": describe_machine(),
            "versions": versions(),
        }

    def write(self, folder: Path) -> None:
        """Write the report into an exported folder."""
        text = json.dumps(self.to_json(), indent=2, allow_nan=False)
        (folder / REPORT_FILE).write_text(text + "\n")

    def table(self) -> str:
        """Return the checks as text, one a line."""
        width = max(len(check.name) for check in self.checks)
        stripped = [
            f"left behind: {part['part']} ({part['tensors']} tensors, {part['numbers']:,} numbers)"
            for part in self.source["stripped"]
        ]
        lines = [f"{c.name:<{width}}  {c.status:<7}  {c.detail}" for c in self.checks]
        return "\n".join([*stripped, *lines])


def _shown(checks: Sequence[Check]) -> dict[str, Any]:
    """What the checks of one engine showed."""
    by_name = {check.name.split()[-1]: check for check in checks}
    if failed(checks):
        return {"status": "failed", "reason": failed(checks)[0].detail}
    if "logits" not in by_name or by_name["logits"].status == "not run":
        return {"status": "not run", "reason": by_name.get("logits", checks[0]).detail}
    shown: dict[str, Any] = {"status": "verified"}
    if by_name["accuracy"].status == "passed":
        score = by_name["accuracy"].figures["artefact"]
        shown |= {key: score[key] for key in ("oa", "instance_iou") if key in score}
    if by_name["speed"].status == "passed":
        shown["samples_per_s"] = by_name["speed"].figures["samples_per_s"]
    return shown


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file below a folder, by its relative name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def sha256(file: Path) -> str:
    """Return the sha256 (hex) of a file."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
