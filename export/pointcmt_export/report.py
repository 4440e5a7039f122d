"""The export report: what was checked, on what machine, with the figures."""

import hashlib
import json
from collections.abc import Mapping
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
    """

    student: str
    source: Mapping[str, Any]
    options: Mapping[str, Any]
    thresholds: Thresholds
    checks: tuple[Check, ...]
    files: Mapping[str, str]

    @property
    def status(self) -> str:
        """Return "failed" where a check failed, else "passed"."""
        return "failed" if failed(self.checks) else "passed"

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


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file below a folder, by its relative name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def sha256(file: Path) -> str:
    """Return the sha256 (hex) of a file."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
