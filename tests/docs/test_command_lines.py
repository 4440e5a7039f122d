"""Every command line of the pages is one that its command takes; nothing is run."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from pointcmt.data.cli import main as data
from pointcmt.importers.cli import main as import_
from pointcmt_export.cli import main as export
from pointcmt_serve.commands.classify import main as classify
from pointcmt_serve.commands.segment import main as segment
from pointcmt_serve.commands.serve import main as serve
from pointcmt_training.cli import main as train

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, click.Command] = {
    "pointcmt-data": data,
    "pointcmt-import": import_,
    "pointcmt-export": export,
    "pointcmt-classify": classify,
    "pointcmt-segment": segment,
    "pointcmt-serve": serve,
    "pointcmt-train": train,
}
LINE = re.compile(r"^ *(pointcmt-[a-z]+ (?:.*\\\n)*.*)$", flags=re.MULTILINE)
BLOCK = re.compile(r"^```\w*\n(.*?)^```|((?:^ {4}.*\n)+)", flags=re.DOTALL | re.MULTILINE)


def command_lines() -> list[str]:
    """The lines of all blocks that begin with a command; those with [...] are no examples."""
    pages = (page.read_text() for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    blocks = ("".join(block) for page in pages for block in BLOCK.findall(page))
    lines = [line for block in blocks for line in LINE.findall(block)]
    return [line for line in lines if "[" not in line]


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Read a line as its command does, subcommands and all, and stop before anything is done."""
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)

    def read(line: str) -> None:
        name, *words = shlex.split(line.replace("\\\n", " "), comments=True)
        COMMANDS[name].main(words, prog_name=name, standalone_mode=False)

    return read


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_of_a_page_is_taken(line: str, parse: Callable[[str], None]) -> None:
    parse(line)


def test_a_line_without_a_required_option_is_found(parse: Callable[[str], None]) -> None:
    with pytest.raises(click.MissingParameter, match="out"):
        parse("pointcmt-export models/pointmlp --format onnx")


def test_lines_of_every_command_are_looked_at() -> None:
    assert {line.split()[0] for line in command_lines()} == set(COMMANDS)
