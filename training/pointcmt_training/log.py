"""Curves for a logger that others make; the run's own are `history/*.jsonl`."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pointcmt import ranks
from pointcmt.errors import InputError
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.reading import Record

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


@contextmanager
def open_log(
    config: Config, folder: RunFolder, section: str, done: int
) -> Iterator[Callable[[Record], None]]:
    """Yield what takes the record of each epoch of a stage.

    Args:
        config: `log` names the logger.
        folder: the run's; TensorBoard reads its folder `tensorboard`.
        section: the stage, which begins each curve's name.
        done: epochs that are done; what an interrupted run wrote after them is dropped.

    Raises:
        InputError: the logger's package is not installed.
    """
    if config.log == "none" or ranks.rank():
        yield lambda _: None
        return
    require_log(config)
    from tensorboardX import SummaryWriter

    place = str(folder.root / "tensorboard" / section)
    with SummaryWriter(place, purge_step=done + 1) as writer:
        yield partial(_write, writer, section)


def _write(writer: "SummaryWriter", section: str, record: Record) -> None:
    for name, value in record.items():
        if name != "epoch":
            writer.add_scalar(f"{section}/{name}", value, int(record["epoch"]))
    writer.flush()


def require_log(config: Config) -> None:
    """Raise an `InputError` unless the package of the configured logger is installed."""
    if config.log == "tensorboard" and importlib.util.find_spec("tensorboardX") is None:
        install = "pip install 'pointcmt[tensorboard]'"
        raise InputError(f"log=tensorboard: tensorboardX is not installed; {install}")
