"""What a user may give as the model, and where the student in it lies."""

from pathlib import Path
from typing import Literal

from pointcmt.description import CONFIG_FILE
from pointcmt.errors import InputError
from pointcmt_serve import pretrained

Kind = Literal["run folder", "model folder", "training checkpoint"]

STUDENT_FOLDER = "student"  # of a run folder
MODEL_FOLDER = "model"  # of a shipped student


def locate(path: Path) -> tuple[Kind, Path]:
    """Return what a path is, and the model folder or the training checkpoint that it stands for.

    The name of a shipped student stands for its model folder, unless a model of that name is there.

    Raises:
        InputError: there is no such thing.
    """
    if path.is_file() and path.suffix != ".safetensors":
        raise InputError(
            f"{path}: not a .safetensors training checkpoint; give a run folder or a model "
            "folder, or bring a foreign checkpoint in with pointcmt-import"
        )
    if path.is_file():
        return "training checkpoint", path
    if (path / CONFIG_FILE).is_file():
        return "model folder", path
    if (path / STUDENT_FOLDER / CONFIG_FILE).is_file():
        return "run folder", path / STUDENT_FOLDER
    if str(path) in pretrained.names():
        return "model folder", pretrained.FOLDER / path / MODEL_FOLDER
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder; give a run folder, a model folder, a training "
            f"checkpoint, or one of {', '.join(pretrained.names())}"
        )
    raise InputError(
        f"{path}: neither a model folder ({CONFIG_FILE} and model.safetensors) nor a run folder "
        f"(a model folder {STUDENT_FOLDER}/ inside)"
    )
