"""The page's tables of keys are what the configuration's classes say."""

import dataclasses
from pathlib import Path

import pytest

from pointcmt_training.config import Config
from pointcmt_training.distillation import METHODS
from pointcmt_training.keys import renewed, tables
from pointcmt_training.recipe import load_config

PAGE = Path(__file__).parents[2] / "docs" / "train.md"


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text()
    assert renewed(page) == page, "run: python -m pointcmt_training.keys docs/train.md"


@pytest.mark.parametrize("method", METHODS)
def test_every_key_of_a_resolved_recipe_has_its_row(method: str) -> None:
    config = dataclasses.asdict(load_config("shapes", [f"method={method}"]))
    page = tables()
    for name, value in config.items():
        section = isinstance(value, dict) and name != "options"
        for key in value if section else [""]:
            assert f"| `{name}{'.' if key else ''}{key}` | " in page
    assert len(config) == len(dataclasses.fields(Config))


def test_a_row_tells_default_range_and_meaning() -> None:
    assert (
        "| `data.fraction` | `1.0` | number, above 0, at most 1 "
        "| class-balanced share of the training split (paper, Table 3). |" in tables()
    )
