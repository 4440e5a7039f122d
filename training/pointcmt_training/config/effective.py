"""Keys of a stage that contradict others of its section, or that no other lets count."""

from pointcmt.errors import InputError
from pointcmt_training.config.stages import Schedule
from pointcmt_training.schedules import Constant


def require_effective(section: str, stage: Schedule) -> None:
    """Refuse a momentum without SGD, a schedule of nothing, or one that ends above its start.

    Raises:
        InputError: it names the keys.
    """
    if stage.momentum != Schedule.momentum and stage.optimizer != "sgd":
        raise InputError(
            f"{section}.momentum={stage.momentum:g}: is for {section}.optimizer=sgd, not for "
            f"{stage.optimizer}"
        )
    if stage.norm_momentum is None and not isinstance(stage.norm_schedule, Constant):
        raise InputError(
            f"{section}.norm_schedule: {section}.norm_momentum is missing, with which it starts"
        )
    starts = {"schedule": ("lr", stage.lr), "norm_schedule": ("norm_momentum", stage.norm_momentum)}
    for key, (name, start) in starts.items():
        floor = getattr(stage, key).floor
        if start is not None and floor > start:
            raise InputError(
                f"{section}.{key}.floor={floor:g}: must be at most {section}.{name}, {start:g}"
            )
