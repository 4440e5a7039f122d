"""What all commands share."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import pointcmt
import pointcmt.commands

ROOT = Path(__file__).parents[1]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_command_tells_its_version(name: str) -> None:
    start = getattr(pointcmt.commands, SCRIPTS[name].split(":")[1])
    main = importlib.import_module(start.args[0]).main
    result = CliRunner().invoke(main, ["--version"], prog_name=name)
    assert (result.exit_code, result.stdout) == (0, f"{name} {pointcmt.__version__}\n")


def test_no_command_imports_torch_before_it_knows_what_to_do() -> None:
    modules = {
        getattr(pointcmt.commands, place.split(":")[1]).args[0] for place in SCRIPTS.values()
    }
    code = f"import importlib, sys\nfor name in {sorted(modules)}: importlib.import_module(name)\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
