"""What formats ask of a student and of the flags, known before torch is imported."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pointcmt.description import ModelConfig
from pointcmt.errors import InputError
from pointcmt.geometry import XYZ
from pointcmt_serve.engines.tensorrt_library import MODULES, Kind, load_vendor

if TYPE_CHECKING:
    from pointcmt_export.options import Options

BUILT = Path(__file__).parent / "web" / "page" / "dist"  # by `make page`
SAMPLING = (  # the shipped networks that call farthest point sampling
    *("pointnet2-ssg", "pointnet2-msg", "rscnn", "pointmlp", "pointmlp-elite", "pointnext-s"),
    *("pointnet2-ssg-parts", "pointnet2-msg-parts"),
)
NO_LOOP = "OpenVINO cannot read the loop of farthest point sampling; use --sampling host"


def nothing(config: ModelConfig, options: "Options") -> None:
    """Ask for nothing."""


def openvino(config: ModelConfig, options: "Options") -> None:
    """Ask for OpenVINO, and for sampling outside the graph.

    Raises:
        InputError: OpenVINO is not installed, or could not read the loop that samples points.
    """
    if find_spec("openvino") is None:
        raise InputError(
            "--format openvino needs OpenVINO; install it with: pip install 'pointcmt[openvino]'"
        )
    if options.sampling == "graph" and config.student in SAMPLING:
        raise InputError(NO_LOOP)


def tensorrt(kind: Kind, config: ModelConfig, options: "Options") -> None:
    """Ask for the library that builds the engine.

    Raises:
        InputError: it is not installed.
    """
    if not any(map(find_spec, MODULES[kind])):
        load_vendor(kind)  # which says so


def triton(config: ModelConfig, options: "Options") -> None:
    """Ask for a classifier whose classes `labels.txt` can name, a line each.

    Raises:
        InputError: the student tells parts, or a class name is longer than one line.
    """
    if config.parts:
        raise InputError("--format triton: writes repositories of classifiers, not of segmenters")
    if any("\n" in name for name in config.classes):
        raise InputError("--format triton: a class name is longer than one line")


def web(config: ModelConfig, options: "Options") -> None:
    """Ask for the built page, and for a student that it can run.

    Raises:
        InputError: the page is not built, or it could not run the student so.
    """
    require_built()
    if options.sampling != "graph" or options.precision != "fp32":
        raise InputError("--format web runs float32 graphs that sample; leave out those options")
    if config.channels != XYZ:
        raise InputError(
            f"--format web: the page reads x, y, z, but the student wants "
            f"{', '.join(config.channels)}"
        )


def require_built() -> None:
    """Raise an `InputError` unless the page was built, as it is in a released wheel."""
    if not (BUILT / "index.html").is_file():
        raise InputError(
            "--format web needs the built page, which this installation lacks; run `make page` in "
            "a checkout (it needs npm), or install a wheel that holds it"
        )
