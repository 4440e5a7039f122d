"""YAML as recipes are written in it: plain values, each key once."""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """YAML 1.1 reads 1e-3 as a string; this reads a number, as YAML 1.2 and everyone else do."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that is given twice."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.YAMLError(f"the key {key.value} is given twice")
                seen.add(key.value)
        return node


class Dumper(yaml.SafeDumper):
    """Quotes the texts that `Loader` would read as numbers."""


for side in (Loader, Dumper):
    side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def write_yaml(value: Any) -> str:
    """Return plain values as a text that `read_yaml` reads back."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False)


def read_yaml(text: str) -> Any:
    """Return the value that a text of YAML holds.

    Raises:
        yaml.YAMLError: it holds none, a key twice, or a value within itself.
    """
    try:
        value = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
        json.dumps(value, default=str)
    except (ValueError, TypeError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from error
    return value


def one_line(error: Exception) -> str:
    """Return what an error says without its line breaks."""
    return " ".join(str(error).split())


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings by their full keys, `training.lr` and the like."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return found
