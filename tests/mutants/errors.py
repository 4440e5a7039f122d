"""The deliberate errors of `errors.yaml`."""

from dataclasses import dataclass
from pathlib import Path

from pointcmt_training.values import read_yaml


@dataclass(frozen=True)
class Mutant:
    """One error.

    Attributes:
        name: what is wrong then.
        file: where, from the root of the repository.
        old: the text that is replaced; it stands there exactly once.
        new: what takes its place.
        tests: files that must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = tuple(
    Mutant(name, group["file"], old, new, tuple(group["tests"]))
    for group in read_yaml((Path(__file__).parent / "errors.yaml").read_text())
    for name, (old, new) in group["errors"].items()
)
