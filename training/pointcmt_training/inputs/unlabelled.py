"""Clouds without labels, which stages II and III may learn from beside the labelled ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointcmt.data import CloudDataset
from pointcmt.errors import InputError
from pointcmt.geometry import SUFFIXES, normalize, read_cloud, turn

REST = "rest"
NO_LABEL = -1


def with_unlabelled(
    source: str,
    whole: CloudDataset,
    train: CloudDataset,
    held: CloudDataset | None,
    channels: Sequence[str],
) -> CloudDataset:
    """Return the labelled clouds of `train`, then the unlabelled ones with label -1.

    Args:
        source: "rest", what `train` and `held` leave of `whole`; or a folder of files.
        whole: the training split as the data set has it.
        train: the labelled part, which is trained on.
        held: the validation part, which is left alone.
        channels: the first of the data set's, as many as student and views take; files must have
            them.

    Raises:
        InputError: nothing is left of the split, or two of its clouds have one name; or the folder
            is missing, empty or divided into classes, or a file in it is unusable or lacks a
            channel.
    """
    joined = _rest(whole, train, held) if source == REST else _folder(Path(source), train, channels)
    joined.labels[len(train) :] = NO_LABEL
    return joined


def _rest(whole: CloudDataset, train: CloudDataset, held: CloudDataset | None) -> CloudDataset:
    position = {one: index for index, one in enumerate(whole.ids)}
    if len(position) < len(whole):
        twice = next(one for index, one in enumerate(whole.ids) if position[one] != index)
        raise InputError(
            f"data.unlabelled=rest: {whole.name} names two clouds {twice}, which cannot be told "
            "apart"
        )
    chosen = [position[one] for one in train.ids]
    used = {*train.ids, *(held.ids if held else ())}
    rest = [index for one, index in position.items() if one not in used]
    if not rest:
        raise InputError(
            "data.unlabelled=rest: nothing is left of the training split; lower data.fraction"
        )
    return whole.subset([*chosen, *rest], f"{train.name} and {len(rest)} unlabelled")


def _folder(root: Path, train: CloudDataset, channels: Sequence[str]) -> CloudDataset:
    files = _files(root)
    points = train.points.shape[1]
    clouds = [_cloud(path, channels, points, seed, train) for seed, path in enumerate(files)]
    return CloudDataset(
        f"{train.name} and {root.resolve().name}",
        train.classes,
        np.concatenate([train.points[..., : len(channels)], np.stack(clouds)]),
        np.concatenate([train.labels, np.full(len(files), NO_LABEL)]),
        [*train.ids, *(f"unlabelled/{path.name}" for path in files)],
        train.normalization,
        channels,
        up=train.up,
    )


def _files(root: Path) -> list[Path]:
    name = f"data.unlabelled={root}"
    if not root.is_dir():
        raise InputError(f"{name}: no such folder; use rest, or a folder of clouds or meshes")
    visible = sorted(p for p in root.iterdir() if not p.name.startswith("."))
    folders = [p.name for p in visible if p.is_dir()]
    if folders:
        raise InputError(
            f"{name}: {folders[0]} in it is a folder, which would be a label; put all files side "
            "by side"
        )
    files = [p for p in visible if p.suffix.lower() in SUFFIXES]
    if not files:
        raise InputError(f"{name}: holds no cloud or mesh ({', '.join(SUFFIXES)})")
    return files


def _cloud(
    path: Path, channels: Sequence[str], points: int, seed: int, train: CloudDataset
) -> NDArray[np.float32]:
    """Read a file, turned and normalised as the labelled clouds are."""
    read = read_cloud(path, channels, points, seed=seed)
    cloud = read.points  # (N, C)
    if read.up and train.up:
        cloud = turn(cloud, read.up, train.up, channels)
    return np.concatenate([normalize(cloud[:, :3], train.normalization), cloud[:, 3:]], axis=1)
