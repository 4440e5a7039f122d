"""What is exported: the student inside a run folder, a model folder or a training checkpoint."""

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pointcmt.checkpoint import build_network, load_network, read_training_checkpoint
from pointcmt.description import ModelConfig
from pointcmt.errors import InputError
from pointcmt.models import Network
from pointcmt_export.model_path import STUDENT_FOLDER, Kind, locate

OTHER_PARTS = ("teacher", "generator")


@dataclass(frozen=True)
class Stripped:
    """A part of the training that is left behind.

    Attributes:
        part: "teacher" or "generator", or a file of a run folder.
        tensors: how many tensors it has.
        numbers: how many numbers these hold.
    """

    part: str
    tensors: int
    numbers: int


@dataclass(frozen=True)
class Source:
    """A student to export.

    Attributes:
        path: what was given.
        kind: what that is.
        student: the student, in evaluation mode on the CPU.
        config: its configuration.
        stripped: the parts that lie beside it and are left behind.
    """

    path: Path
    kind: Kind
    student: Network
    config: ModelConfig
    stripped: tuple[Stripped, ...]

    @property
    def channels(self) -> int:
        """Channels of a point."""
        return len(self.config.channels)

    @property
    def measured(self) -> bool:
        """Whether the training that made the weights recorded their accuracy."""
        return "overall accuracy" in self.config.provenance

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of the student's weights with their names and shapes."""
        return fingerprint(self.student.state_dict())

    def to_json(self) -> dict[str, Any]:
        """Return what the report says of the source."""
        return {
            "kind": self.kind,
            "name": self.path.resolve().name,
            "weights_sha256": self.fingerprint(),
            "stripped": [asdict(part) for part in self.stripped],
        }


def open_source(path: Path | str, allow: Collection[str] = ()) -> Source:
    """Find and load the student that `path` stands for, and see that it runs.

    Args:
        path: a run folder (with a model folder `student` inside), a model folder, a training
            checkpoint, one safetensors file with student, teacher and generator, or the name of a
            shipped student.
        allow: classes of one's own, "module:Class", that may be imported; see `load_student`.

    Raises:
        InputError: there is no such thing, or it is damaged or foreign.
    """
    source = _find(Path(path), allow)
    _require_running(source)
    return source


def _find(path: Path, allow: Collection[str]) -> Source:
    kind, place = locate(path)
    if kind == "training checkpoint":
        return _from_checkpoint(path, allow)
    student, config = load_network(place, allow)
    return Source(path, kind, student, config, _beside(path) if kind == "run folder" else ())


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 (hex) of tensors with their names, types and shapes, in name order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _require_running(source: Source) -> None:
    """Run the student once: options may build a network that cannot compute."""
    config, where = source.config, source.path
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, config.points, source.channels, generator=generator)
    try:
        with torch.inference_mode():
            logits = cast(nn.Module, source.student)(points)
    except Exception as error:  # whatever the layers raise for sizes that make no sense
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{where}: the student cannot be run ({reason})") from error
    rows = (2, config.points) if config.parts else (2,)
    if tuple(logits.shape) != (*rows, config.outputs) or not logits.isfinite().all():
        what = "parts at every point" if config.parts else "classes"
        raise InputError(
            f"{where}: the student does not give a finite logit for each of its "
            f"{config.outputs} {what}"
        )


def _from_checkpoint(path: Path, allow: Collection[str]) -> Source:
    config, parts = read_training_checkpoint(path)
    student = build_network(config, parts["student"], str(path), allow)
    stripped = tuple(
        Stripped(part, len(tensors), sum(tensor.numel() for tensor in tensors.values()))
        for part, tensors in sorted(parts.items())
        if part != "student"
    )
    return Source(path, "training checkpoint", student, config, stripped)


def _beside(run: Path) -> tuple[Stripped, ...]:
    """List the other weights of a run folder."""
    files = sorted(run.rglob("*.safetensors"))
    others = [file for file in files if (run / STUDENT_FOLDER) not in file.parents]
    return tuple(part for file in others for part in _parts_of(file, run))


def _parts_of(file: Path, run: Path) -> list[Stripped]:
    name = file.relative_to(run).as_posix()
    try:
        with safe_open(file, framework="pt") as handle:
            sizes = {key: math.prod(handle.get_slice(key).get_shape()) for key in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):  # a file that is left behind need not be readable
        return [Stripped(name, 0, 0)]
    parts = sorted({key.partition(".")[0] for key in sizes} & set(OTHER_PARTS))
    groups = {f"{name}: {p}": [k for k in sizes if k.startswith(f"{p}.")] for p in parts}
    groups = groups or {name: list(sizes)}
    return [Stripped(part, len(ks), sum(sizes[k] for k in ks)) for part, ks in groups.items()]
