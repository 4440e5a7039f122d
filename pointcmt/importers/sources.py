"""The public implementations whose checkpoints can be imported, and the import itself."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from pointcmt.checkpoint import ModelConfig, build_network, save_student
from pointcmt.data import MODELNET10_CLASSES, MODELNET40_CLASSES, SCANOBJECTNN_CLASSES
from pointcmt.errors import InputError
from pointcmt.geometry import NORMALS, XYZ
from pointcmt.importers.mapping import Found, check_shapes
from pointcmt.importers.others import plan_dgcnn, plan_pointmlp, plan_rscnn
from pointcmt.importers.pointnet2 import plan_erikwijmans, plan_released, plan_yanx27
from pointcmt.importers.resnet import plan_released_teacher, plan_torchvision
from pointcmt.models import create_student
from pointcmt.teacher.pretrained import TeacherConfig, build_teacher, save_teacher
from pointcmt.weights import State, read_state

KNOWN_CLASSES: dict[int, tuple[str, ...]] = {
    len(names): names for names in (MODELNET10_CLASSES, SCANOBJECTNN_CLASSES, MODELNET40_CLASSES)
}

MODEL_FILES = {"model.safetensors", "config.json", "README.md"}


@dataclass(frozen=True)
class Source:
    """A public implementation: where it is published, and what makes a plan of its files."""

    repository: str
    plan: Callable[[State, str], Found]


def _plan_pointcmt(state: State, where: str) -> Found:
    teacher = "net.0.weight" in state
    return plan_released_teacher(state, where) if teacher else plan_released(state, where)


_GITHUB = "https://github.com"
SOURCES: dict[str, Source] = {
    "pointnet2-yanx27": Source(f"{_GITHUB}/yanx27/Pointnet_Pointnet2_pytorch", plan_yanx27),
    "pointnet2-erikwijmans": Source(f"{_GITHUB}/erikwijmans/Pointnet2_PyTorch", plan_erikwijmans),
    "dgcnn-wangyue": Source(f"{_GITHUB}/WangYueFt/dgcnn", plan_dgcnn),
    "dgcnn-antao97": Source(f"{_GITHUB}/antao97/dgcnn.pytorch", plan_dgcnn),
    "rscnn-yochengliu": Source(f"{_GITHUB}/Yochengliu/Relation-Shape-CNN", plan_rscnn),
    "pointmlp-maxu": Source(f"{_GITHUB}/ma-xu/pointMLP-pytorch", plan_pointmlp),
    "pointcmt-released": Source(f"{_GITHUB}/ZhanHeshen/PointCMT", _plan_pointcmt),
    "torchvision-resnet": Source(f"{_GITHUB}/pytorch/vision", plan_torchvision),
}


def import_checkpoint(
    file: Path | str,
    source: str,
    folder: Path | str,
    *,
    classes: Sequence[str] | None = None,
    points: int = 1024,
    normalization: str | None = None,
    options: Mapping[str, Any] | None = None,
    weights: str = "",
) -> Path:
    """Turn the weight file of a public implementation into a model folder.

    A student becomes a folder that `load_student` reads, an image network one that
    `pointcmt.teacher.pretrained.load_teacher` reads.

    Args:
        file: what `torch.save` wrote, or a safetensors file with the same keys.
        source: a key of `SOURCES`.
        folder: the folder to write; an older model folder there is replaced.
        classes: names in the order of the logits; by default those of ModelNet40, ModelNet10 or
            ScanObjectNN where their number fits, else "class-0", "class-1" and so on.
        points: number of points a cloud is brought to before inference.
        normalization: rule of `pointcmt.geometry.normalize`; by default "unit-sphere", but "none"
            for PointMLP on ScanObjectNN, which was trained on the file's own coordinates.
        options: further options of the student that a file cannot tell, such as `k` of DGCNN.
        weights: which of several networks in the file, see `pointcmt.weights.read_state`.

    Returns:
        `folder`.

    Raises:
        InputError: unknown source, unreadable or refused file, a missing or left-over key, a
            wrong shape, class names of the wrong number, or something else in `folder`.
    """
    where = str(file)
    if source not in SOURCES:
        raise InputError(f"unknown source {source!r}: use one of {', '.join(SOURCES)}")
    _require_free(Path(folder))
    state = read_state(file, weights)
    found, tensors = _convert(state, source, where)
    names = _class_names(classes, found.classes, where)
    provenance = _provenance(Path(file), source)
    chosen = found.options | _allowed(dict(options or {}), where)
    if found.teacher:
        teacher = TeacherConfig(found.network, chosen, names, provenance)
        return save_teacher(folder, build_teacher(teacher, tensors, where), teacher)
    if normalization is None:
        raw = source == "pointmlp-maxu" and found.classes == len(SCANOBJECTNN_CLASSES)
        normalization = "none" if raw else "unit-sphere"
    channels = (*XYZ, *NORMALS)[: chosen.get("channels", len(XYZ))]
    config = ModelConfig(found.network, chosen, names, points, normalization, provenance, channels)
    own = create_student(config.student, len(names), **config.options).state_dict()
    check_shapes(tensors, own, where)
    student = build_network(config, tensors, where)
    return save_student(folder, cast(nn.Module, student), config)


def _require_free(folder: Path) -> None:
    """Keep a mistyped output from replacing a folder of other things."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if folder.is_file() or names - MODEL_FILES:
        raise InputError(f"{folder}: holds other things than a model; name a new folder")


def _allowed(options: dict[str, Any], where: str) -> dict[str, Any]:
    """Refuse options that are no options of a network, and numbers of channels without names."""
    if told := {"name", "num_classes"} & set(options):
        raise InputError(f"{where}: {min(told)} is no option; the file itself tells it")
    channels, most = options.get("channels", len(XYZ)), len(XYZ) + len(NORMALS)
    if type(channels) is not int or not len(XYZ) <= channels <= most:
        raise InputError(
            f"{where}: channels is {channels!r}; give a whole number from {len(XYZ)} to {most}"
        )
    return options


def _convert(state: State, source: str, where: str) -> tuple[Found, State]:
    try:
        found = SOURCES[source].plan(state, where)
        return found, found.plan.apply(state, where)
    except InputError as error:
        others = [name for name in SOURCES if name != source and _fits(state, name)]
        hint = f"; it would fit --from {' or '.join(others)}" if others else ""
        raise InputError(f"{error}{hint}") from error


def _fits(state: State, source: str) -> bool:
    try:
        SOURCES[source].plan(state, "").plan.apply(state, "")
    except InputError:
        return False
    return True


def _class_names(given: Sequence[str] | None, count: int, where: str) -> tuple[str, ...]:
    if given is None:
        return KNOWN_CLASSES.get(count) or tuple(f"class-{i}" for i in range(count))
    if len(given) != count:
        raise InputError(f"{where}: has {count} classes, but {len(given)} class names were given")
    return tuple(given)


def _provenance(file: Path, source: str) -> dict[str, str]:
    return {
        "imported from": source,
        "repository": SOURCES[source].repository,
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
