"""Recipes: YAML files and `key=value` overrides, checked against the configuration's types."""

import dataclasses
import difflib
import types
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from pointcmt.errors import InputError
from pointcmt_training.config import Config

T = TypeVar("T")


def recipes() -> dict[str, str]:
    """Return the built-in recipes, name to YAML text."""
    folder = resources.files("pointcmt_training") / "recipes"
    files = sorted(folder.iterdir(), key=lambda f: f.name)
    return {f.name.removesuffix(".yaml"): f.read_text() for f in files if f.name.endswith(".yaml")}


def load_config(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """Read a recipe (a built-in name or a YAML file) and apply `key=value` overrides.

    Raises:
        InputError: no such recipe, an unknown key, a wrong type or a value out of range.
    """
    tree = _read_recipe(recipe)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise InputError(f"{override!r} is not of the form key=value")
        _assign(tree, key, _scalar(value, key))
    return _fill(Config, tree, "")


def _read_recipe(recipe: str) -> dict[str, Any]:
    known = recipes()
    path = Path(recipe)
    if recipe not in known and not path.is_file():
        hint = _nearest(recipe, known)
        raise InputError(f"{recipe}: no recipe of this name and no such file{hint}")
    try:
        text = known[recipe] if recipe in known else path.read_text()
        tree = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{recipe}: not readable as YAML ({_one_line(error)})") from error
    if not isinstance(tree, dict):
        raise InputError(f"{recipe}: a recipe is a mapping of keys to values")
    return tree


def _assign(tree: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = tree.setdefault(section, {})
        if not isinstance(inner, dict):
            raise InputError(f"{key}: {section} is a value, not a section")
        tree = inner
    tree[last] = value


def _scalar(text: str, key: str) -> Any:
    try:
        return float(text) if _is_exponent(text) else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{key}: {text!r} is not a YAML value") from error


def _is_exponent(text: str) -> bool:
    """YAML 1.1 reads 1e-3 as a string; everyone else reads a number."""
    mantissa, e, exponent = text.lower().partition("e")
    return bool(e) and exponent.lstrip("+-").isdigit() and mantissa.replace(".", "", 1).isdigit()


def _fill(cls: type[T], tree: Mapping[str, Any], prefix: str) -> T:
    hints = get_type_hints(cls)
    for key in tree:
        if key not in hints:
            raise InputError(f"unknown key {prefix}{key}{_nearest(str(key), hints)}")
    values = {key: _convert(hints[key], value, prefix + key) for key, value in tree.items()}
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{prefix}{error}") from error


def _convert(kind: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise InputError(f"{key}={value!r}: this is a section of keys, not a value")
        return _fill(kind, value, f"{key}.")  # type: ignore[arg-type]
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            choices = ", ".join(map(str, get_args(kind)))
            raise InputError(f"{key}={value!r}: must be one of {choices}")
        return value
    if kind is float and isinstance(value, str) and _is_exponent(value):
        value = float(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    plain = get_origin(kind) or kind
    right = isinstance(value, plain) and not (plain is int and isinstance(value, bool))
    if not right:
        name = "a mapping" if isinstance(kind, types.GenericAlias) else kind.__name__
        raise InputError(f"{key}={value!r}: must be of type {name}")
    return value


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


HARMLESS = ("checkpoint_seconds", "device")  # may change between the parts of one run


def difference(there: Config, here: Config, sections: Sequence[str] = ()) -> str:
    """Say in a few words where two configurations differ; the empty string if they do not.

    Args:
        there: the one that a folder holds.
        here: the one asked for.
        sections: compare only these; by default all that shapes the result.
    """
    one, other = _flat(dataclasses.asdict(there)), _flat(dataclasses.asdict(here))
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    if sections:
        keys = [key for key in keys if key.partition(".")[0] in sections]
    return ", ".join(
        f"{key} is {one.get(key)!r} there, {other.get(key)!r} here"
        for key in keys
        if key not in HARMLESS
    )


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
