"""Where the commands start: a package that is not installed is named, with the extra it is in."""

import importlib
import sys


def train() -> None:
    """Start `pointcmt-train`."""
    _start("pointcmt_training.cli", "train")


def data() -> None:
    """Start `pointcmt-data`."""
    _start("pointcmt.data.cli", "train")


def import_() -> None:
    """Start `pointcmt-import`."""
    _start("pointcmt.importers.cli", "train")


def export() -> None:
    """Start `pointcmt-export`."""
    _start("pointcmt_export.cli", "export")


def classify() -> None:
    """Start `pointcmt-classify`."""
    _start("pointcmt_serve.cli", "serve")


def serve() -> None:
    """Start `pointcmt-serve`."""
    _start("pointcmt_serve.serve", "serve")


def _start(module: str, extra: str) -> None:
    try:
        importlib.import_module(module).main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pointcmt"):
            raise
        sys.exit(
            f"Error: this command needs {error.name}, which is not installed; "
            f"install it with: pip install 'pointcmt[{extra}]'"
        )
