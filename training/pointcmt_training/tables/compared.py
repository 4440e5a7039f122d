"""A finished run, as `compare` reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pointcmt.errors import InputError
from pointcmt_training.config import Config
from pointcmt_training.folder import RunFolder
from pointcmt_training.reading import Record, read_history, read_identity, read_result
from pointcmt_training.recipe import load_config


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: its name.
        config: its configuration.
        result: the content of `result.json`.
        tested: what tells its test clouds from others, see `identify`.
        history: of stage III.
    """

    folder: str
    config: Config
    result: Mapping[str, Any]
    tested: dict[str, Any]
    history: Sequence[Record]

    @property
    def draw(self) -> tuple[int, int]:
        """Seeds of training and of the labelled share; runs of one draw are compared."""
        return self.config.seed, self.config.data.subset_seed

    @property
    def recalls(self) -> Tensor:
        """Share of each class's test clouds that it got right, (C,); NaN where there are none."""
        counts = torch.tensor(self.result["confusion"], dtype=torch.float64)
        return counts.diagonal() / counts.sum(dim=1)


def read_run(root: Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: it holds no finished classifier, or a damaged file.
    """
    folder = RunFolder(root)
    if not (folder.config.is_file() and folder.result.is_file()):
        raise InputError(f"{root}: holds no finished run (no result.json)")
    config, result = load_config(str(folder.config)), read_result(folder.result)
    if config.segments:
        raise InputError(f"{root}: is a part segmenter; compare shows classifiers")
    tested = read_identity(folder.data).get("test")
    if tested is None:
        raise InputError(f"{folder.data}: damaged; it does not name the test clouds")
    return Run(
        root.resolve().name,
        config,
        result,
        tested,
        read_history(folder.history("training")),
    )
