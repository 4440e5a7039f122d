"""`key=value` words, which change values of a recipe."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, get_type_hints

import click
import yaml

from pointcmt import ranks
from pointcmt.errors import InputError
from pointcmt_training.config import Config
from pointcmt_training.values import flat, one_line, read_yaml


def parsed(text: str) -> tuple[str, Any]:
    """Return the key and the value of a word.

    Raises:
        InputError: it is not of the form key=value, or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"{text!r} is not of the form key=value")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    try:
        return key, value if _is_text(key) and not quoted else read_yaml(value)
    except yaml.YAMLError as error:
        raise InputError(f"{key}: {value!r} is not a YAML value ({one_line(error)})") from error


def _is_text(key: str) -> bool:
    """Whether a value of this key is any text, such as a path."""
    known: Any = Config
    for section in key.split("."):
        known = get_type_hints(known).get(section) if dataclasses.is_dataclass(known) else None
    return known is str or key == "distillation.run"


def assign(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a full key in a recipe.

    Raises:
        InputError: what should be a section there is a value.
    """
    *sections, last = key.split(".")
    for section in sections:
        inner = tree.setdefault(section, {})
        if not isinstance(inner, dict):
            raise InputError(f"{key}: {section} is a value, not a section")
        tree = inner
    tree[last] = value


def taken_back(words: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for every value of a word that a later word replaces by another.

    The last counts, so that a script may end with the words of its user; but it may be a slip.
    """
    given: dict[str, tuple[Any, str]] = {}
    for word in words:
        key, value = parsed(word)
        values = flat({key: value})
        for one, (before, text) in given.items():
            if f"{one}.".startswith(f"{key}.") and (one not in values or values[one] != before):
                yield f"{word} takes back {text}"
        given |= {one: (here, word) for one, here in values.items()}


def tell_taken_back(words: Iterable[str]) -> None:
    """Say on the error stream what `taken_back` yields; of several ranks one does."""
    for sentence in () if ranks.rank() else taken_back(words):
        click.echo(f"Warning: {sentence}", err=True)
