"""Checking data sets as their files hold them: every point, one object after the other."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.data.catalog import CATALOG
from pointcmt.data.record import Stored
from pointcmt.data.tools.duplicates import cloud_hash, one_picture_name
from pointcmt.data.validate import LARGEST
from pointcmt.errors import InputError
from pointcmt.files import name_bytes

SHOWN = 5  # names listed in one message
SENTENCES = 20  # unreadable objects of a split told one by one


@dataclass(frozen=True)
class SplitSummary:
    """What one split holds.

    Attributes:
        name: the data set's and the split's.
        clouds: how many could be read.
        points: the fewest and the most points (or vertices) of an object.
        classes: clouds of each class.
        fingerprint: sha256 of ids, labels and all stored values.
    """

    name: str
    clouds: int
    points: tuple[int, int]
    classes: dict[str, int]
    fingerprint: str


@dataclass(frozen=True)
class CheckReport:
    """The outcome of `check`.

    Attributes:
        splits: what each split holds.
        problems: what makes the data unfit, one sentence each: objects that cannot be read, values
            that are not finite or absurdly large, a class without training objects, a single
            class, an object in two splits, splits with different classes, two objects whose
            pictures have one name.
        notes: what is worth knowing: an unofficial number of clouds, a class without test objects,
            an object that occurs twice in one split, objects without extent.
    """

    splits: tuple[SplitSummary, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON's types."""
        return {"ok": self.ok, **asdict(self)}

    def __str__(self) -> str:
        """Return the report as lines for a person."""
        lines = []
        for split in self.splits:
            counts = split.classes.values()
            fewest, most = split.points
            size = f"{most}" if fewest == most else f"{fewest} to {most}"
            lines.append(
                f"{split.name}: {split.clouds} clouds of {size} points, {len(counts)} classes of "
                f"{min(counts)} to {max(counts)} clouds"
            )
        lines += [f"problem: {one}" for one in self.problems]
        lines += [f"note: {one}" for one in self.notes]
        return "\n".join([*lines, "ok" if self.ok else f"{len(self.problems)} problem(s)"])


@dataclass
class _Seen:
    """What was found in one split."""

    stored: Stored
    ids: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""

    @property
    def counts(self) -> dict[str, int]:
        found = np.bincount(self.labels, minlength=len(self.stored.classes))
        return {name: int(n) for name, n in zip(self.stored.classes, found, strict=True)}


def check(splits: Sequence[Stored]) -> CheckReport:
    """Check the splits of one data set, given in any order; nothing is written.

    Two objects are the same when they hold the same coordinates in any order of the points; meshes
    are compared by their vertices.

    Args:
        splits: one or more splits, e.g. train and test.

    Raises:
        ValueError: there is no split.
    """
    if not splits:
        raise ValueError("check needs at least one split")
    found = [_read(split) for split in splits]
    problems = [problem for seen in found for problem in (*seen.problems, *_class_problems(seen))]
    notes = [note for seen in found for note in (*seen.notes, *_count_notes(seen))]
    if len({seen.stored.classes for seen in found}) > 1:
        problems.append(f"{_join([s.name for s in splits])} have different class names")
    for i, one in enumerate(found):
        notes += _repeated(one)
        for other in found[i + 1 :]:
            problems += _shared(one, other)
    return CheckReport(tuple(map(_summary, found)), tuple(problems), tuple(notes))


def _read(stored: Stored) -> _Seen:
    seen = _Seen(stored)
    digest = hashlib.sha256(name_bytes("\0".join(stored.classes)))
    broken: list[str] = []
    wrong: dict[str, list[str]] = {}
    flat: list[str] = []
    for one in stored.objects:
        try:
            points = one.load()
        except InputError as error:
            broken.append(str(error))
            continue
        for what in _value_problems(points):
            wrong.setdefault(what, []).append(one.id)
        if not np.ptp(points[:, :3], axis=0).any():
            flat.append(one.id)
        seen.ids.append(one.id)
        seen.labels.append(one.label)
        seen.sizes.append(len(points))
        seen.hashes.append(cloud_hash(points))
        digest.update(name_bytes(f"{one.id}\0{one.label}\0{points.shape}\0"))
        digest.update(np.ascontiguousarray(points, "<f4").data)
    seen.fingerprint = digest.hexdigest()
    seen.problems += broken[:SENTENCES]
    if len(broken) > SENTENCES:
        rest = len(broken) - SENTENCES
        seen.problems.append(f"{stored.name}: {rest} more objects cannot be read")
    seen.problems += [_count(stored.name, ids, what) for what, ids in wrong.items()]
    if flat:
        seen.notes.append(_count(stored.name, flat, "clouds whose points all coincide"))
    return seen


def _value_problems(points: NDArray[np.float32]) -> list[str]:
    if not np.isfinite(points).all():
        return ["clouds with NaN or infinite values"]
    if np.abs(points).max() > LARGEST:
        return [f"clouds with values beyond {LARGEST:.0e}"]
    return []


def _class_problems(seen: _Seen) -> list[str]:
    name, split = seen.stored.name, seen.stored.name.rpartition("/")[2]
    if len(seen.stored.classes) == 1:
        return [f"{name}: {seen.stored.classes[0]} is the only class; a classifier needs two"]
    empty = [one for one, count in seen.counts.items() if count == 0]
    found = []
    if empty and split == "train":
        found.append(f"{name}: no object of {_join(empty)} to train on")
    if pairs := one_picture_name(seen.stored):
        found.append(_count(name, pairs, "objects whose pictures need the name of another's"))
    return found


def _count_notes(seen: _Seen) -> list[str]:
    name, _, split = seen.stored.name.rpartition("/")
    official = CATALOG[name].counts.get(split) if name in CATALOG else None
    notes = []
    if official is not None and official != len(seen.ids):
        notes.append(
            f"{seen.stored.name}: {len(seen.ids)} clouds, the official release has {official}"
        )
    empty = [one for one, count in seen.counts.items() if count == 0]
    if empty and split != "train":
        notes.append(f"{seen.stored.name}: no cloud of {_join(empty)}")
    return notes


def _summary(seen: _Seen) -> SplitSummary:
    sizes = (min(seen.sizes, default=0), max(seen.sizes, default=0))
    return SplitSummary(seen.stored.name, len(seen.ids), sizes, seen.counts, seen.fingerprint)


def _repeated(seen: _Seen) -> list[str]:
    _, first = np.unique(np.array(seen.hashes, np.uint64), return_index=True)
    again = [seen.ids[i] for i in sorted(set(range(len(seen.ids))) - set(first.tolist()))]
    what = "clouds that occurred before in the same split"
    return [_count(seen.stored.name, again, what)] if again else []


def _shared(one: _Seen, other: _Seen) -> list[str]:
    there = set(other.hashes)
    both = [name for name, mark in zip(one.ids, one.hashes, strict=True) if mark in there]
    what = f"clouds that also occur in {other.stored.name}"
    return [_count(one.stored.name, both, what)] if both else []


def _count(name: str, ids: Sequence[str], what: str) -> str:
    return f"{name}: {len(ids)} {what} ({_join(ids)})"


def _join(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
