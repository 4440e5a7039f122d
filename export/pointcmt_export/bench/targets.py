"""What the engines of a benchmark are opened on: one student, as weights and as graphs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pointcmt.errors import InputError

WEIGHTS, GRAPH = "model.safetensors", "model.onnx"


@dataclass(frozen=True)
class Target:
    """A folder that some engines can open.

    Attributes:
        name: how the report calls it.
        folder: a model folder (with `WEIGHTS`) or an exported folder (with `GRAPH`).
        classes: names of the student's classes.
        points: points a cloud that the student wants.
        channels: names of a point's channels.
        fingerprint: sha256 of the student's weights, "" where the artefact does not state it.
    """

    name: str
    folder: Path
    classes: tuple[str, ...]
    points: int
    channels: tuple[str, ...]
    fingerprint: str

    def holds(self, file: str) -> bool:
        """Whether an engine that needs `file` can be opened on this."""
        return (self.folder / file).is_file()

    def is_same_student(self, other: "Target") -> bool:
        """Whether nothing speaks against both holding one student."""
        prints = {self.fingerprint, other.fingerprint} - {""}
        ours, theirs = ((t.classes, t.points, t.channels) for t in (self, other))
        return ours == theirs and len(prints) < 2


def find_targets(
    given: Sequence[Path | str], room: Path, allow: Sequence[str] = ()
) -> list[Target]:
    """Return the targets that `given` stand for.

    Where no exported folder is among them, the first model is exported into `room`, once sampled
    by the graph and once by the host.

    Args:
        given: run folders, model folders, training checkpoints and exported folders.
        room: an empty folder.
        allow: classes of one's own that a model may name, see `load_student`.

    Raises:
        InputError: one is nothing of the kind, or they are not the same student.
    """
    paths = [Path(path) for path in given]
    targets = [_artefact(p) if _is_artefact(p) else _model(p, room, allow) for p in paths]
    if not any(_is_artefact(path) for path in paths):
        targets += _exported(paths[0], room, allow)
    for target in targets[1:]:
        if not target.is_same_student(targets[0]):
            raise InputError(f"{target.name}: holds another student than {targets[0].name}")
    return targets


def _is_artefact(path: Path) -> bool:
    return (path / GRAPH).is_file()


def _artefact(folder: Path) -> Target:
    from pointcmt_export.onnx_file import read_onnx

    model, artefact = read_onnx(folder)
    stated = {entry.key: entry.value for entry in model.metadata_props}
    fingerprint = stated.get("pointcmt.weights_sha256", "")
    told = artefact.classes, artefact.points, artefact.channels
    return Target(folder.name, folder, *told, fingerprint)


def _model(path: Path, room: Path, allow: Sequence[str]) -> Target:
    """Bring what is inside a run folder or a checkpoint to the form that engines open."""
    from pointcmt.checkpoint import save_student
    from pointcmt_export.source import open_source

    source = open_source(path, allow)
    folder = save_student(room / "weights" / path.stem, source.student, source.config)
    config = source.config
    told = config.classes, config.points, config.channels
    return Target(path.stem, folder, *told, source.fingerprint())


def _exported(model: Path, room: Path, allow: Sequence[str]) -> list[Target]:
    from pointcmt_export.exporter import export
    from pointcmt_export.options import SAMPLINGS, Grid, Options

    targets = []
    for sampling in SAMPLINGS:
        folder = room / f"{sampling}-sampled"
        grid = Grid((1,), (1024,))
        export(model, folder, Options(sampling=sampling, grid=grid, allow=tuple(allow)))
        targets.append(_artefact(folder))
    return targets
