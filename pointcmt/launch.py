"""Where the commands start: a package that is not installed is named, with the extra it is in."""

import importlib
import sys
from functools import partial


def start(module: str, extra: str) -> None:
    """Run the `main` of a module that needs the packages of an extra."""
    try:
        importlib.import_module(module).main()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pointcmt"):
            raise
        sys.exit(
            f"Error: this command needs {error.name}, which is not installed; "
            f"install it with: pip install 'pointcmt[{extra}]'"
        )


train = partial(start, "pointcmt_training.cli", "train")
data = partial(start, "pointcmt.data.cli", "train")
import_ = partial(start, "pointcmt.importers.cli", "train")
export = partial(start, "pointcmt_export.cli", "export")
classify = partial(start, "pointcmt_serve.cli", "serve")
serve = partial(start, "pointcmt_serve.serve", "serve")
