"""Recipes: YAML files and `key=value` overrides, checked against the configuration's types."""

import dataclasses
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pointcmt.errors import InputError
from pointcmt_training.config import Config, DataConfig
from pointcmt_training.distillation import METHODS
from pointcmt_training.overrides import assign, parsed
from pointcmt_training.schedules import SCHEDULES, Cosine, Decay
from pointcmt_training.values import flat, one_line, read_yaml


def recipes() -> dict[str, str]:
    """Return the built-in recipes, name to YAML text."""
    folder = resources.files("pointcmt_training") / "recipes"
    files = sorted(folder.iterdir(), key=lambda f: f.name)
    return {f.name.removesuffix(".yaml"): f.read_text() for f in files if f.name.endswith(".yaml")}


def load_config(recipe: str, overrides: Sequence[str] = ()) -> Config:
    """Read a recipe (a built-in name or a YAML file) and apply `key=value` overrides.

    A recipe's `distillation:` and `options:` hold the options of its own method and student: where
    an override names another method or student, that one starts from its defaults.

    Raises:
        InputError: no such recipe, an unknown key, a wrong type or a value out of range, or an
            override of what the data set does not read.
    """
    tree = _read_recipe(recipe)
    changes = dict(parsed(text) for text in overrides)
    for key, options in (("method", "distillation"), ("student", "options")):
        own = tree.get(key, getattr(Config, key))
        if changes.get(key, own) != own:
            tree.pop(options, None)
    for key, value in changes.items():
        assign(tree, key, value)
    try:
        text = json.dumps({**tree, "distillation": tree.get("distillation", {})}, default=str)
        config = _adapter().validate_json(text)
    except ValidationError as error:
        raise InputError(_sentence(error.errors()[0], tree)) from error
    _require_read(config.data, flat(changes))
    return config


def _require_read(data: DataConfig, changes: Mapping[str, Any]) -> None:
    """Refuse a size of the embedded shapes for other data; that of a recipe of shapes may stay."""
    key = "data.per_class"
    if data.name != "shapes" and key in changes:
        raise InputError(f"{key}={changes[key]}: is for data.name=shapes, not for {data.name}")


@lru_cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def _read_recipe(recipe: str) -> dict[str, Any]:
    known = recipes()
    path = Path(recipe)
    if recipe not in known and not path.is_file():
        hint = _nearest(recipe, known)
        raise InputError(f"{recipe}: no recipe of this name and no such file{hint}")
    try:
        text = known[recipe] if recipe in known else path.read_text()
        tree = read_yaml(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{recipe}: not readable as YAML ({one_line(error)})") from error
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        raise InputError(f"{recipe}: a recipe is a mapping of keys to values")
    return tree


def _sentence(error: ErrorDetails, tree: Mapping[str, Any]) -> str:
    """Say what pydantic found in the words of a recipe: the full key, the value, what is right."""
    *sections, last = map(str, error["loc"] or [""])
    key = ".".join([*sections, last])
    if error["type"] == "unexpected_keyword_argument":
        return f"unknown key {key}{_hint(sections, last, tree)}"
    if "error" in error.get("ctx", {}):  # an InputError of ours
        reason = str(error["ctx"]["error"])
        whole = not key or isinstance(error["input"], Mapping)  # of a section, which names its keys
        return reason if whole else f"{key}={error['input']!r}: {reason}"
    if error["type"].startswith("dataclass"):
        return f"{key}={error['input']!r}: this is a section of keys, not a value"
    right = error["msg"].replace("Input should be", "must be").replace("an object", "a mapping")
    return f"{key}={error['input']!r}: {right}"


def _hint(sections: Sequence[str], last: str, tree: Mapping[str, Any]) -> str:
    choices: Mapping[str, Any]
    if sections == ["distillation"]:
        kind, chosen, choices = "method=", tree.get("method", Config.method), METHODS
    elif sections[-1:] in (["schedule"], ["norm_schedule"]):
        kind, chosen, choices = "kind: ", _section(sections, tree).kind, SCHEDULES
    else:
        return _nearest(last, _keys(_section(sections, tree)))
    if owners := [name for name, options in choices.items() if last in _keys(options)]:
        return f": it is an option of {kind}{', '.join(owners)}, not of {kind}{chosen}"
    return _nearest(last, _keys(choices[chosen]))


def _section(sections: Sequence[str], tree: Mapping[str, Any]) -> Any:
    """Return the class whose fields are the keys of a section."""
    known: Any = Config
    for section in sections:
        tree = tree.get(section, {})
        kinds = dict(get_type_hints(known))
        known = kinds[section]
    return SCHEDULES[tree.get("kind", Cosine.kind)] if known is Decay else known


def _keys(section: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(section)]


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, known := list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(known)}" if known else "; there are no keys here"


HARMLESS = (
    "checkpoint_seconds",
    "device",
    "data.cache",
    "data.root",  # the clouds themselves are compared
    "log",
    "views.workers",
    "views.cache_gb",
)  # may change between the parts of one run


def difference(there: Config, here: Config, sections: Sequence[str] = ()) -> str:
    """Say in a few words where two configurations differ; the empty string if they do not.

    Args:
        there: the one that a folder holds.
        here: the one asked for.
        sections: compare only these; by default all that shapes the result.
    """
    one, other = shaping(there), shaping(here)
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    if sections:
        keys = [key for key in keys if key.partition(".")[0] in sections]
    return ", ".join(f"{key} is {one.get(key)!r} there, {other.get(key)!r} here" for key in keys)


def shaping(config: Config) -> dict[str, Any]:
    """Return all values that shape the result, by their full keys."""
    values = flat(dataclasses.asdict(config))
    return {key: value for key, value in values.items() if key not in HARMLESS}
