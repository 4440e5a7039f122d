"""The paper's tables, a YAML file each."""

import difflib
import json
from importlib import resources

import yaml
from pydantic import TypeAdapter

from pointcmt.errors import InputError
from pointcmt_training.tables.table import Table


def numbers() -> list[str]:
    """Return the names of all tables: "1", "1b", "2" and so on."""
    files = resources.files(__name__).iterdir()
    names = [file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")]
    return sorted(names, key=lambda name: (int(name.rstrip("b")), name))


def load_table(number: str) -> Table:
    """Read one of the paper's tables.

    Raises:
        InputError: there is no such table.
    """
    if number not in numbers():
        near = difflib.get_close_matches(number, numbers(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"table {number}: {hint}there are {', '.join(numbers())}")
    file = resources.files(__name__) / f"{number}.yaml"
    return TypeAdapter(Table).validate_json(json.dumps(yaml.safe_load(file.read_text())))
