"""What a format is, and what its writer gets and gives."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pointcmt.description import ModelConfig
from pointcmt_export.formats.requirements import nothing

if TYPE_CHECKING:
    import onnx

    from pointcmt_export.options import Options
    from pointcmt_export.source import Source
    from pointcmt_export.verify import Check, Clouds
    from pointcmt_export.verify.gate import Expectation


@dataclass(frozen=True)
class Job:
    """A student as ONNX file, of which a format is to be made.

    Attributes:
        model: the ONNX model.
        full: converts the same student in float32, where `model` is in float16.
        folder: holds `model.onnx`; the format's files go there.
        expected: what the artefact must be.
        clouds: for comparing.
        options: the export's.
    """

    model: "onnx.ModelProto"
    full: "Callable[[], onnx.ModelProto]"
    folder: Path
    expected: "Expectation"
    clouds: "Clouds"
    options: "Options"


Write = Callable[[Job], "list[Check]"]
Require = Callable[[ModelConfig, "Options"], None]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: as `--format` calls it.
        files: what it writes into the exported folder.
        runs_with: what can load it, in words.
        engine: the engine of `pointcmt_serve` that loads these files and is compared with the
            checkpoint, or None where only a server of another kind can.
        extra: of the package `pointcmt`, which brings what is needed.
        needs: what no package brings, in words, or "".
        module: the module that writes it.
        requires: refuses what can be refused without torch; see `requirements`.
    """

    name: str
    files: tuple[str, ...]
    runs_with: str
    engine: str | None
    extra: str
    needs: str
    module: str
    requires: Require = nothing

    def writer(self, source: "Source", options: "Options") -> Write:
        """Return what writes and checks the format.

        Its module has a function `writer(format, source, options)`, which first looks for all that
        it needs, so that an export that must fail fails at once.

        Raises:
            InputError: a package is missing, or the format cannot hold this student.
        """
        self.requires(source.config, options)
        write: Write = importlib.import_module(self.module).writer(self, source, options)
        return write
