"""Model folders and training checkpoints: safetensors and JSON, nothing that could run code.

A *model folder* holds `model.safetensors`, `config.json` and a model card, `README.md`. A *training
checkpoint* is one safetensors file that still holds the teacher and the generator beside the
student; its header carries the same configuration.
"""

from collections.abc import Collection
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import nn

from pointcmt.description import HEADER, ModelConfig, read_config
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt.models import create_segmenter, create_student
from pointcmt.models.student import Network, Student
from pointcmt.parts import part_counts

__all__ = [
    "ModelConfig",
    "build_network",
    "load_network",
    "load_student",
    "model_card",
    "read_training_checkpoint",
    "save_student",
    "save_training_checkpoint",
]

PARTS = ("student", "teacher", "generator")

Tensors = dict[str, torch.Tensor]


def save_student(folder: Path | str, student: Network | nn.Module, config: ModelConfig) -> Path:
    """Write a model folder, all or nothing, and return its path."""
    with write_beside(folder) as fresh:
        fresh.mkdir()
        (fresh / "model.safetensors").write_bytes(save(tensors_of(student)))
        (fresh / "config.json").write_text(config.to_json() + "\n")
        (fresh / "README.md").write_text(model_card(student, config))
    return Path(folder)


def load_student(folder: Path | str, allow: Collection[str] = ()) -> tuple[Student, ModelConfig]:
    """Rebuild the classifier of a model folder; see `load_network`.

    Raises:
        InputError: see `load_network`; or the folder holds a part segmenter.
    """
    network, config = load_network(folder, allow)
    if not isinstance(network, Student):
        raise InputError(f"{folder}: holds a part segmenter, {config.student}, not a classifier")
    return network, config


def load_network(folder: Path | str, allow: Collection[str] = ()) -> tuple[Network, ModelConfig]:
    """Rebuild the classifier or part segmenter of a model folder, in evaluation mode on the CPU.

    Args:
        folder: the model folder.
        allow: classes of one's own, "module:Class", that may be imported if the folder names them;
            what a folder says is not enough to run code.

    Raises:
        InputError: the folder, its configuration or its weights are missing, damaged or do not
            belong together.
    """
    folder = Path(folder)
    config = read_config(folder)
    weights = folder / "model.safetensors"
    return build_network(config, _read_tensors(weights), str(weights), allow), config


def save_training_checkpoint(
    path: Path | str, config: ModelConfig, student: Network | nn.Module, **others: nn.Module
) -> Path:
    """Write student, teacher and generator into one safetensors file, all or nothing."""
    parts: dict[str, Network | nn.Module] = {"student": student, **others}
    tensors = {
        f"{p}.{key}": t for p, module in parts.items() for key, t in tensors_of(module).items()
    }
    with write_beside(path) as fresh:
        fresh.write_bytes(save(tensors, metadata={HEADER: config.to_json()}))
    return Path(path)


def read_training_checkpoint(path: Path | str) -> tuple[ModelConfig, dict[str, Tensors]]:
    """Return the configuration and the tensors of each part ("student", "teacher", "generator").

    Raises:
        InputError: the file is no training checkpoint, is damaged or holds no student.
    """
    path = Path(path)
    tensors = _read_tensors(path)
    with safetensors.safe_open(path, framework="pt") as handle:
        header = (handle.metadata() or {}).get(HEADER)
    parts: dict[str, Tensors] = {}
    for key, tensor in tensors.items():
        part, _, name = key.partition(".")
        parts.setdefault(part, {})[name] = tensor
    odd = sorted(set(parts) - set(PARTS))
    if header is None or "student" not in parts or odd:
        inside = f"{odd[0]} inside" if header is not None and odd else "no student inside"
        raise InputError(f"{path}: not a PointCMT training checkpoint ({inside})")
    return ModelConfig.from_json(header, str(path)), parts


def build_network(
    config: ModelConfig, tensors: Tensors, where: str, allow: Collection[str] = ()
) -> Network:
    """Create the configured network with these weights, in evaluation mode.

    Args:
        config: the configuration.
        tensors: the weights.
        where: what an error begins with.
        allow: see `load_student`.

    Raises:
        InputError: the weights are not those of the configured architecture, it takes more points
            than its clouds have, or it is a class of one's own that is not allowed.
    """
    name = config.student
    if ":" in name and name not in allow:
        raise InputError(
            f"{where}: its student is the class {name}, which is code; if you trust it, allow it "
            f"with --allow-code {name}, or load_student(..., allow=[{name!r}])"
        )
    if ":" not in name:
        with torch.device("meta"):  # takes no memory, whatever sizes the options name
            _require_weights(_create(config, where), config, tensors, where)
    student = _create(config, where)
    _require_weights(student, config, tensors, where)
    if config.points < student.min_points:
        raise InputError(
            f"{where}: a {name} as configured takes {student.min_points} points or more, but its "
            f"clouds have {config.points}"
        )
    student.load_state_dict(tensors)
    student.eval()
    return student


def _create(config: ModelConfig, where: str) -> Network:
    try:
        student = _by_name(config)
        if type(student.min_points) is not int:
            raise TypeError(f"min_points is {student.min_points!r}")
        return student
    except InputError:
        raise
    except Exception as error:  # whatever the layers raise for sizes that make no sense
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{where}: a {config.student} cannot be built so ({reason})") from error


def _by_name(config: ModelConfig) -> Network:
    """Call the named class; how many parts a segmenter tells follows from their names."""
    count = len(config.classes)
    if not config.parts:
        return create_student(config.student, count, **config.options)
    parts = part_counts(config.parts)
    return create_segmenter(config.student, count, **{**config.options, "parts": parts})


def _require_weights(student: Network, config: ModelConfig, tensors: Tensors, where: str) -> None:
    own = student.state_dict()
    odd = sorted(set(own) ^ set(tensors))
    odd += sorted(key for key in set(own) & set(tensors) if own[key].shape != tensors[key].shape)
    if odd:
        names = ", ".join(odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
        raise InputError(f"{where}: not the weights of a {config.student} as configured ({names})")


def model_card(student: Network | nn.Module, config: ModelConfig) -> str:
    """Return a Hugging Face style model card in Markdown."""
    count = sum(p.numel() for p in student.parameters())
    facts = "".join(f"- {key}: {value}\n" for key, value in config.provenance.items())
    task, what = "classification", "classifier"
    if config.parts:
        task, what = "segmentation", "part segmenter"
    return (
        f"---\nlibrary_name: pointcmt\ntags: [point-cloud, {task}]\n---\n\n"
        f"# {config.student}, {len(config.classes)} classes\n\n"
        f"A point-cloud {what} with {count:,} parameters. It takes {config.points} points, "
        f"normalised by the rule `{config.normalization}`.\n\n"
        f"Classes: {', '.join(config.classes)}.\n\n## Provenance\n\n{facts}"
    )


def tensors_of(module: Network | nn.Module) -> Tensors:
    """Return what a network's files hold: each tensor by itself, also one that has two names."""
    return {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in module.state_dict().items()
    }


def _read_tensors(path: Path) -> Tensors:
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: no readable safetensors file ({error})") from error
