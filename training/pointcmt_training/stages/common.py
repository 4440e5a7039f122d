"""What the stages have in common: frozen weights, augmented clouds, the accuracy of a batch."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from pointcmt import ranks
from pointcmt.channels import ANY
from pointcmt.checkpoint import ModelConfig, tensors_of
from pointcmt.data.augment import Augmentation
from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt_training.class_balance import balanced_order, class_weights
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.inputs.split import Split
from pointcmt_training.loop import Loop
from pointcmt_training.together import told

M = TypeVar("M", bound=nn.Module)
Built = TypeVar("Built")

AUGMENTATION = Augmentation(scale=(2 / 3, 3 / 2), shift=0.2)
DIGEST = "sha256"  # key in the header of a weight file


def require_same_clouds(model: ModelConfig, split: Split, where: str) -> None:
    """Refuse a trained network for clouds other than it was trained on.

    Raises:
        InputError: their channels, normalisation or vertical axis differ; it begins with `where`.
    """
    data = split.dataset
    for what, theirs, ours in (
        ("channels", ", ".join(model.channels), ", ".join(split.channels)),
        ("normalization", model.normalization, data.normalization),
        ("vertical axis", model.up, data.up),
    ):
        if theirs != ours and None not in (theirs, ours) and theirs != ANY:
            raise InputError(f"{where}: its {what} is {theirs}, that of {data.name} {ours}")


def seeded(seed: int, build: Callable[[], Built]) -> Built:
    """Build a network whose initial weights follow from the seed alone."""
    torch.manual_seed(seed)
    return build()


def train_or_load(module: M, folder: RunFolder, stage: str, loop: Callable[[], Loop]) -> M:
    """Load the weights of stage I or II, or train and save them; frozen either way."""
    path = folder.weights(stage)
    if told(path.is_file):
        load_weights(module, path)
    else:
        loop().run()
        if not ranks.rank():
            save_weights(module, path)
            folder.state(stage).unlink(missing_ok=True)
    module.eval()
    return module.requires_grad_(False)


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a network's weights as safetensors that hold their own sha256, all or nothing."""
    tensors = tensors_of(module)
    with write_beside(path) as fresh:
        fresh.write_bytes(save(tensors, {DIGEST: digest(tensors)}))


def load_weights(module: nn.Module, path: Path) -> None:
    """Load what `save_weights` wrote into a network.

    Raises:
        InputError: the file is missing, damaged, another network's or of another precision.
    """
    tensors, own = told(lambda: _read_weights(path)), module.state_dict()
    for key, tensor in tensors.items():
        if key in own and tensor.dtype != own[key].dtype:
            found, right = (str(t.dtype).removeprefix("torch.") for t in (tensor, own[key]))
            raise InputError(f"{path}: {key} is {found}; {right} was expected")
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{path}: not the weights of the configured network") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(DIGEST)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: damaged; remove it to train this stage again") from error
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: not the weights of the configured network") from error
    if expected not in (None, digest(tensors)):
        raise InputError(f"{path}: damaged; remove it to train this stage again")
    return tensors


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 (hex) of names and values."""
    found = hashlib.sha256()
    for key, tensor in sorted(tensors.items()):
        found.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def epoch_order(config: Config, labels: Tensor) -> Tensor:
    """Draw the order in which an epoch shows the samples, (n,) int64 on the CPU.

    Args:
        config: `data.class_balance` may ask for a balanced order.
        labels: (n,) int64.
    """
    if config.data.class_balance == "sampler":
        return balanced_order(labels)
    return torch.randperm(len(labels))


def loss_weights(config: Config, labels: Tensor, classes: int) -> Tensor | None:
    """Return the weights (C,) of the classes in the cross-entropy, if the recipe asks for them."""
    return class_weights(labels, classes) if config.data.class_balance == "weights" else None


def augmented(
    split: Split, indices: Tensor, epoch: int, config: Config, shuffle: bool = True
) -> Tensor:
    """Return augmented clouds (B, N, C): the recipe's changes, per-axis scale, shift and shuffle.

    Without `shuffle` no point is dropped either, so that points keep their colours.
    """
    asked = config.augmentation
    augmentation = dataclasses.replace(
        AUGMENTATION,
        rotate=180.0 if asked.rotate == "vertical" else 0.0,
        tumble=asked.rotate == "any",
        jitter=asked.jitter,
        dropout=asked.dropout if shuffle else 0.0,
        up=(split.dataset.up or "y").removeprefix("-"),
        shuffle=shuffle,
        normals=split.normals,
    )
    return augmentation(split.points[indices], indices, epoch, config.seed)


def share_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share of right answers of a batch, a scalar in [0, 1]."""
    return (logits.argmax(dim=1) == labels).float().mean()
