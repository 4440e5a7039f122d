"""What the files of a folder of one's own hold and nothing of a run reads is said, once."""

from pathlib import Path

import click

from pointcmt import ranks
from pointcmt.data.tree import ALL, read_tree
from pointcmt.geometry import SUFFIXES, read_names
from pointcmt.weights import listing
from pointcmt_training.config import DataConfig

FEW = 9  # channels that a sentence spells out: a point, its normal and its colour


def tell_unread(data: DataConfig, used: int) -> None:
    """Say which channels of a folder's first file are not used, if any; of several ranks one does.

    Args:
        data: where the folder is, and the channels that are read.
        used: how many of these student or views take.
    """
    if data.name != "folder" or ranks.rank():
        return
    file = read_tree(Path(data.root), ALL, SUFFIXES).paths[0]
    there = list(dict.fromkeys([*data.channels, *read_names(file)]))
    if unread := there[used:]:
        hint = f"; data.channels=[{','.join(there)}] options.channels={len(there)} takes them"
        click.echo(
            f"Warning: {file}: {listing(unread)} of its points are not used"
            f"{hint if len(there) <= FEW else ''}",
            err=True,
        )
