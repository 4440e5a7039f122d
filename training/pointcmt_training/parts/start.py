"""The encoder of a trained classifier, from which a segmenter starts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from pointcmt.checkpoint import load_student
from pointcmt.errors import InputError
from pointcmt.models.pointnet2 import PointNet2
from pointcmt.models.pointnet2_parts import PointNet2Parts
from pointcmt.models.set_abstraction import LocalMLP, SetAbstraction
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.parts.inputs import PartInputs
from pointcmt_training.stages.common import require_same_clouds

ENCODER = ("levels.", "top.")  # how its weights' names begin, in both networks


def take_encoder(segmenter: PointNet2Parts, config: Config, inputs: PartInputs) -> dict[str, Any]:
    """Give a segmenter the encoder of the classifier in `config.start`.

    Returns:
        Where that classifier comes from, for the model card.

    Raises:
        InputError: there is no finished classifier, or its encoder is not the segmenter's: another
            network, width, sampling, channels, or clouds prepared otherwise.
    """
    given = Path(config.start)
    run = RunFolder(given).student
    student, model = load_student(run if run.is_dir() else given)
    where = f"start={config.start}"
    if model.student != segmenter.ENCODER or not isinstance(student, PointNet2):
        raise InputError(
            f"{where}: holds a {model.student}, but {config.student} starts from a "
            f"{segmenter.ENCODER}"
        )
    require_same_clouds(model, inputs.train.clouds, where)
    theirs, ours = _sampling(student.levels), _sampling(segmenter.levels)
    if theirs != ours:
        raise InputError(f"{where}: samples and groups otherwise ({theirs} there, {ours} here)")
    weights = _encoder(cast(nn.Module, student).state_dict())
    own = _encoder(segmenter.state_dict())
    odd = sorted(k for k in {**own, **weights} if _shape(own, k) != _shape(weights, k))
    if odd:
        shapes = f"{_shape(weights, odd[0])} there, {_shape(own, odd[0])} here"
        raise InputError(f"{where}: has other options ({odd[0]} is {shapes})")
    segmenter.load_state_dict(weights, strict=False)
    return {f"encoder's {key}": value for key, value in model.provenance.items()}


def _sampling(levels: Iterable[nn.Module]) -> str:
    """Say how an encoder samples and groups, which its weights do not show."""
    found = []
    for level in levels:
        if isinstance(level, SetAbstraction):
            balls = [ball for ball in level.scales if isinstance(ball, LocalMLP)]
            told = " and ".join(f"{ball.k} within {ball.radius:g}" for ball in balls)
            found.append(f"{level.centres} centres of {told}")
    return ", ".join(found)


def _encoder(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if key.startswith(ENCODER)}


def _shape(state: dict[str, Tensor], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None
