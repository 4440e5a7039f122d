"""The run folder: where everything that a run makes has its place.

config.yaml             the resolved configuration
data.json               what it was trained on: classes, counts and digests
teacher/ generator/     weights of stages I and II
student/                the model folder that is exported
checkpoint.safetensors  student, teacher and generator in one file
features/               cached teacher features, named by what made them
history/                one JSONL file a stage, one line an epoch; stage III's is training.jsonl
state/                  what an unfinished stage resumes from
result.json report.html
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pointcmt import ranks
from pointcmt.data.tools.identity import Identity, changes
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_training.config import Config
from pointcmt_training.reading import Record, read_identity, read_result, read_seconds
from pointcmt_training.recipe import difference, load_config

SECTIONS = ("teacher", "generator", "training")
"""The stages by their section of the recipe, which names their files: stage III is "training"."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run, and writing into them that a kill cannot tear."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved configuration, YAML."""
        return self.root / "config.yaml"

    @property
    def student(self) -> Path:
        """The model folder of the trained student."""
        return self.root / "student"

    @property
    def checkpoint(self) -> Path:
        """The training checkpoint with student, teacher and generator."""
        return self.root / "checkpoint.safetensors"

    @property
    def result(self) -> Path:
        """Accuracies and costs, JSON."""
        return self.root / "result.json"

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return self.root / "report.html"

    def weights(self, section: str) -> Path:
        """Return where the finished weights of stage I or II stand."""
        return self.root / section / "model.safetensors"

    def state(self, section: str) -> Path:
        """Return where an unfinished stage keeps what it resumes from."""
        return self.root / "state" / f"{section}.pt"

    def history(self, section: str) -> Path:
        """Return the JSONL history of a stage."""
        return self.root / "history" / f"{section}.jsonl"

    @property
    def data(self) -> Path:
        """What the run was trained on, JSON of `pointcmt.data.tools.identity`."""
        return self.root / "data.json"

    def require_free(self, config: Config) -> None:
        """Require a new folder, one in which nothing was trained yet, or the same run to resume.

        Raises:
            InputError: it holds another run, or files that are no run at all.
        """
        if not self.config.is_file():
            if self.root.is_file() or self._begun():
                raise InputError(
                    f"{self.root}: is not empty and holds no run; choose another --output"
                )
            return
        other = difference(load_config(str(self.config)), config)
        if other and self._begun():
            raise InputError(f"{self.root}: holds another run ({other}); choose another --output")

    def claim(self, config: Config, data: Identity) -> None:
        """Take the folder for this configuration and these data.

        Raises:
            InputError: it holds another run by now, or one on other data.
        """
        self.require_free(config)
        if self._begun() and (words := self.data_changes(data)):
            raise InputError(
                f"{self.root}: the data changed since this run began ({words}); "
                "choose another --output"
            )
        write_text(self.config, config.to_yaml())
        write_json(self.data, data)

    def data_changes(self, data: Identity) -> str:
        """Say how these data differ from those of the run, if these are known; empty if not."""
        return changes(read_identity(self.data), data) if self.data.is_file() else ""

    def finished(self) -> dict[str, Any]:
        """Return the result of a finished run.

        Raises:
            InputError: the result is damaged, or the student is gone.
        """
        result = read_result(self.result)
        if not self.student.is_dir():
            raise InputError(
                f"{self.student}: is gone; remove {self.result} to train the student again"
            )
        return result

    def _begun(self) -> bool:
        """Tell whether anything was trained; what a kill left of the first files is nothing."""
        first = (self.config.name, self.data.name)
        left = tuple(f".{name}." for name in first)
        here = self.root.iterdir() if self.root.is_dir() else ()
        return any(path.name not in first and not path.name.startswith(left) for path in here)


def write_text(path: Path, text: str) -> None:
    """Write a text file, all or nothing; of several ranks the first does."""
    if ranks.rank():
        return
    with write_beside(path) as fresh:
        fresh.write_text(text)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, all or nothing."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_history(path: Path, records: Sequence[Record]) -> None:
    """Write a JSONL file, all or nothing."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def stage_seconds(folder: RunFolder, section: str) -> dict[str, float]:
    """Return the seconds of the clock and of the processors that a stage took."""
    return read_seconds(folder.history(section))


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Save tensors and plain values, all or nothing; of several ranks the first does."""
    if ranks.rank():
        return
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    with write_beside(path) as fresh:
        fresh.write_bytes(buffer.getvalue())


def load_state(path: Path) -> dict[str, Any]:
    """Load what `save_state` wrote; nothing in the file can run, and one changed byte is noticed.

    Raises:
        InputError: the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path}: damaged; remove it to start this stage again") from error
    if damaged:
        raise InputError(f"{path}: damaged; remove it to start this stage again")
    return state
