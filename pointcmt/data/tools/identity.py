"""What data a run was trained on, and how other data differ from it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pointcmt.data.dataset import CloudDataset

Identity = dict[str, dict[str, Any]]


def identify(splits: Mapping[str, CloudDataset]) -> Identity:
    """Return what tells these splits from others, as JSON's types.

    Args:
        splits: data sets by the name of their split; labels below zero are of no class.

    Returns:
        For each split its data set's `name`, the clouds of each of its `classes` in their order,
        how many are `without labels`, and the `sha256` of the content.
    """
    return {split: _identify(data) for split, data in splits.items()}


def _identify(data: CloudDataset) -> dict[str, Any]:
    counts = np.bincount(data.labels[data.labels >= 0], minlength=len(data.classes))
    classes = {name: int(n) for name, n in zip(data.classes, counts, strict=True)}
    without = int((data.labels < 0).sum())
    return {
        "name": data.name,
        "classes": classes,
        "without labels": without,
        "sha256": data.fingerprint(),
    }


def changes(there: Identity, here: Identity) -> str:
    """Say in a few words how the splits that both have differ; the empty string if they do not.

    Args:
        there: what `identify` returned earlier, perhaps read from JSON.
        here: what it returns now.
    """
    found: list[str] = []
    for split in here:
        if split in there:
            one = _split_changes(split, there[split], here[split])
            found += [words for words in one if words not in found]
    return "; ".join(found)


def _split_changes(split: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    then, now = there["classes"], here["classes"]
    words = [f"class {name!r} is new" for name in now if name not in then]
    words += [f"class {name!r} is gone" for name in then if name not in now]
    if not words and list(then) != list(now):
        words = ["the classes are in another order"]
    words += [
        f"{split} has {count} of {name!r}, not {then[name]}"
        for name, count in now.items()
        if name in then and then[name] != count
    ]
    if not words and there["sha256"] != here["sha256"]:
        words = [f"{split} has other clouds"]
    return words
