"""The one table of formats, and all that draws from it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from pointcmt.errors import InputError
from pointcmt_export.cli import main
from pointcmt_export.formats import ALL, FORMATS, Format, chosen_formats

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
EVERY = pytest.mark.parametrize("form", FORMATS.values(), ids=list(FORMATS))


def row(form: Format) -> str:
    files = ", ".join(f"`{file}`" for file in form.files)
    written = files if "model.onnx" in form.files else f"and {files}"
    needed = ", ".join(part for part in (f"`pointcmt[{form.extra}]`", form.needs) if part)
    return f"| `{form.name}` | {written} | {form.runs_with} | {needed} |"


@EVERY
def test_the_docs_have_its_row(form: Format) -> None:
    assert row(form) in DOCS.read_text().splitlines()


@EVERY
def test_the_command_offers_it(form: Format) -> None:
    assert form.name in CliRunner().invoke(main, ["export", "--help"]).output


@EVERY
def test_the_onnx_file_comes_first(form: Format) -> None:
    names = [each.name for each in chosen_formats(form.name)]
    assert names == list(dict.fromkeys(("onnx", form.name)))
    assert form in chosen_formats(ALL)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="unknown format 'tflite'; use one of onnx, "):
        chosen_formats("tflite")
