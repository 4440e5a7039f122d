"""Teachers that start from trained weights: ImageNet files checked by hash, and teacher folders.

A *teacher folder* holds `model.safetensors` and `config.json`, as a model folder does for a
student.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save

from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt.teacher.imagenet import imagenet_file
from pointcmt.teacher.multiview import MultiViewTeacher
from pointcmt.weights import listing, read_state

FORMAT = "pointcmt-teacher-1"

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TeacherConfig:
    """All that is needed to rebuild a teacher.

    Attributes:
        backbone: as for `MultiViewTeacher`.
        options: its further keyword options.
        classes: class names, in the order of the logits.
        provenance: where the weights come from.
    """

    backbone: str
    options: Mapping[str, Any]
    classes: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def save_teacher(folder: Path | str, teacher: MultiViewTeacher, config: TeacherConfig) -> Path:
    """Write a teacher folder, all or nothing, and return its path."""
    tensors = {key: t.detach().cpu().contiguous() for key, t in teacher.state_dict().items()}
    with write_beside(folder) as fresh:
        fresh.mkdir()
        (fresh / "model.safetensors").write_bytes(save(tensors))
        text = json.dumps({"format": FORMAT, **asdict(config)}, indent=2)
        (fresh / "config.json").write_text(text + "\n")
    return Path(folder)


def load_teacher(folder: Path | str) -> tuple[MultiViewTeacher, TeacherConfig]:
    """Rebuild the teacher of a folder, in evaluation mode on the CPU.

    Raises:
        InputError: the folder, its configuration or its weights are missing or damaged.
    """
    where = Path(folder) / "config.json"
    try:
        raw = json.loads(where.read_text())
        if raw.pop("format") != FORMAT:
            raise InputError(f"{where}: not the configuration of a teacher")
        config = TeacherConfig(**raw | {"classes": tuple(raw["classes"])})
        tensors = load_file(Path(folder) / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{folder}: not a readable teacher folder ({error})") from error
    except safetensors.SafetensorError as error:
        raise InputError(f"{folder}: model.safetensors is damaged ({error})") from error
    return build_teacher(config, tensors, str(folder)), config


def build_teacher(config: TeacherConfig, tensors: Tensors, where: str) -> MultiViewTeacher:
    """Create the configured teacher with these weights, in evaluation mode.

    Raises:
        InputError: the weights are not those of the configured architecture.
    """
    try:
        teacher = MultiViewTeacher(config.backbone, len(config.classes), **config.options)
        teacher.load_state_dict(tensors)
    except (RuntimeError, TypeError, ValueError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{where}: not the weights of a {config.backbone} ({reason})") from error
    return teacher.eval()


def start_from(teacher: MultiViewTeacher, source: Path | str = "imagenet") -> None:
    """Give every CNN of a teacher trained weights; projection and classifier stay as they are.

    Args:
        teacher: changed in place. With one image channel it takes the sum over RGB of the first
            layer's weights, so that a grey image gives what it would give as RGB.
        source: "imagenet", a teacher folder, that of a run included, or a weight file in the CNN's
            own layout, such as torchvision's or timm's.

    Raises:
        InputError: the source cannot be had or read, or is of another network.
    """
    if str(source) == "imagenet":
        source = imagenet_file(teacher.backbone)
    state = _encoder_tensors(Path(source))
    own = teacher.encoder.state_dict()
    if _LITE_STEM in state and _LITE_STEM not in own and len(state) == len(own):
        state = dict(zip(own, state.values(), strict=True))  # timm's names, in the same order
    for key, tensor in state.items():
        if key in own and tensor.ndim == 4 and tensor.shape[1] == 3 and own[key].shape[1] == 1:
            state[key] = tensor.sum(dim=1, keepdim=True)
    odd = sorted(key for key in set(own) ^ set(state) if not key.endswith(COUNTER))
    odd += [key for key in own if key in state and own[key].shape != state[key].shape]
    if odd:
        raise InputError(f"{source}: not the weights of a {teacher.backbone} ({listing(odd)})")
    for encoder in teacher.encoders:
        encoder.load_state_dict(own | state)


COUNTER = "num_batches_tracked"  # absent from files older than PyTorch 0.4.1
_ENCODER = "encoder."  # of a whole teacher's weights, as a run leaves them
_LITE_STEM = "_conv_stem.weight"
_LAST_LAYERS = ("fc.", "classifier.", "head.fc.", "head.weight", "head.bias", "_fc.")


def _encoder_tensors(source: Path) -> Tensors:
    """The tensors of a file or a teacher folder without those of the last layer."""
    weights = source / "model.safetensors"
    if source.is_dir() and ((source / "config.json").exists() or not weights.exists()):
        teacher, _ = load_teacher(source)
        return dict(teacher.encoder.state_dict())
    state = read_state(weights if source.is_dir() else source)
    if encoder := {key: t for key, t in state.items() if key.startswith(_ENCODER)}:
        return {key.removeprefix(_ENCODER): tensor for key, tensor in encoder.items()}
    return {key: tensor for key, tensor in state.items() if not key.startswith(_LAST_LAYERS)}
