"""What an export is asked for."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import click

from pointcmt.description import MOST_POINTS
from pointcmt.errors import InputError
from pointcmt_serve.artefact import BESIDE

Sampling = Literal["graph", "host", "device"]
Payload = Literal["onnx", "plan", "python"]  # what runs the network in Triton
Clouds = Literal["raw", "prepared"]  # what clients of Triton send
Precision = Literal["fp32", "fp16", "bf16", "int8"]

FORMATS = {"int8": ("onnx", "openvino"), "bf16": ("openvino",)}  # whose engines run these
SAMPLINGS: tuple[Sampling, ...] = ("graph", "host")  # that every format but OpenVINO's takes
ON_DEVICE = ("trt", "trt-rtx")  # the formats whose session samples points on the GPU
BATCH = (1, 8, 64)

allow_option = click.option(
    "--allow-code",
    "allow",
    multiple=True,
    metavar="MODULE:CLASS",
    help="Import this class if the model names it as its student; repeatable.",
)


class FiniteRange(click.FloatRange):
    """A range that has neither "nan", which is below and above nothing, nor "inf"."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number that a word stands for."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


@dataclass(frozen=True)
class Grid:
    """The shapes on which logits are compared.

    Attributes:
        batches: batch sizes.
        points: point counts; those below what the student takes are replaced by the least it does.

    Raises:
        InputError: none or less than 1, or a batch of more than a million points in all.
    """

    batches: tuple[int, ...] = (1, 7, 32)
    points: tuple[int, ...] = (512, 1024, 2048)

    def __post_init__(self) -> None:
        if not self.batches or not self.points or min(*self.batches, *self.points) < 1:
            raise InputError(
                f"the checks need batch sizes and point counts of 1 or more, "
                f"not {self.batches} and {self.points}"
            )
        if max(self.batches) * max(self.points) > MOST_POINTS:
            raise InputError(
                f"the checks take batches of {MOST_POINTS:,} points or fewer, "
                f"not {max(self.batches)} clouds of {max(self.points)}"
            )

    def shapes(self, min_points: int) -> list[tuple[int, int]]:
        """Return the (batch, points) pairs for a student."""
        counts = sorted({max(n, min_points) for n in self.points})
        return [(b, n) for n in counts for b in self.batches]


@dataclass(frozen=True)
class Profile:
    """The shapes a TensorRT engine is built for.

    Attributes:
        batch: smallest, best and largest batch.
        points: smallest, best and largest number of points; None derives them from the student.
    """

    batch: tuple[int, int, int] = BATCH
    points: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        _require_rising("batch", self.batch)
        if self.points is not None:
            _require_rising("points", self.points)

    def fitted(self, min_points: int, points: int) -> "FittedProfile":
        """Return the profile for a student that takes at least `min_points`, best `points`.

        Raises:
            InputError: the profile asks for fewer points than the student takes.
        """
        chosen = self.points or (min_points, max(points, min_points), max(points, min_points, 2048))
        if chosen[0] < min_points:
            raise InputError(
                f"the profile begins at {chosen[0]} points, but the student needs {min_points}"
            )
        return FittedProfile(self.batch, chosen)


@dataclass(frozen=True)
class FittedProfile:
    """A profile of a certain student; see `Profile`."""

    batch: tuple[int, int, int]
    points: tuple[int, int, int]

    def holds(self, batch: int, points: int) -> bool:
        """Whether the engine takes such a batch, or can be given it in parts."""
        return self.points[0] <= points <= self.points[2] and batch >= self.batch[0]


def _require_rising(name: str, numbers: tuple[int, int, int]) -> None:
    low, best, high = numbers
    if not 1 <= low <= best <= high:
        raise InputError(
            f"the profile's {name} is {low}, {best}, {high}; "
            "give minimum, optimum and maximum in rising order, 1 or more"
        )


@dataclass(frozen=True)
class Limits:
    """Limits that replace the defaults of `Thresholds`; None keeps the default."""

    logits_max: float | None = None
    logits_mean: float | None = None
    logits_median: float | None = None
    argmax_agreement: float | None = None
    accuracy_points: float | None = None
    speedup: float | None = None


@dataclass(frozen=True)
class Options:
    """An export.

    Attributes:
        format: a name in `formats.FORMATS`, or "all"; each has the ONNX file beside it.
        sampling: "graph" for a graph that takes points alone, "host" for one that also takes the
            indices that the native library computes, "device" for the same graph as an engine
            whose indices are computed by kernels on its GPU.
        precision: of the weights and the arithmetic between them; indices are float32 always. bf16
            and int8 are written beside the float32 file.
        calibration: the data set whose training clouds show the ranges of int8; None takes `data`.
        data: the data set for accuracy, see `verification.open_data`.
        limit: most clouds of it to use.
        grid: the shapes on which logits are compared.
        limits: limits other than the defaults.
        profile: shapes of a TensorRT engine.
        timing_cache: file that keeps TensorRT's measurements between builds.
        allow: classes of one's own that the model may name, see `load_student`.
    """

    format: str = "onnx"
    sampling: Sampling = "graph"
    precision: Precision = "fp32"
    calibration: str | None = None
    data: str | None = None
    limit: int | None = None
    grid: Grid = field(default_factory=Grid)
    limits: Limits = field(default_factory=Limits)
    profile: Profile = field(default_factory=Profile)
    timing_cache: Path | None = None
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.limits.speedup is not None and self.data is None:
            raise InputError("--min-speedup is measured on a data set; name one with --data")
        if self.calibration is not None and self.precision != "int8":
            raise InputError("--calibration is for --precision int8")
        if self.precision in BESIDE:
            self._require_provable()
        if self.sampling == "device" and self.format not in ON_DEVICE:
            raise InputError(
                f"--sampling device is for --format {' or '.join(ON_DEVICE)}, whose engines sample "
                f"on their GPU, not for {self.format}; use --sampling host"
            )

    def _require_provable(self) -> None:
        asked, formats = f"--precision {self.precision}", FORMATS[self.precision]
        if self.format not in formats:
            raise InputError(f"{asked} is for --format {' or '.join(formats)}, not {self.format}")
        if self.data is None:
            raise InputError(f"{asked} is proved by its accuracy; name a data set with --data")

    @property
    def graph_sampling(self) -> Literal["graph", "host"]:
        """How the graph itself comes by its indices, whoever computes its inputs."""
        return "graph" if self.sampling == "graph" else "host"

    def of_onnx_file(self) -> "Options":
        """Return the options of `model.onnx`, which is in float32 beside a file of bf16 or int8."""
        beside = self.precision in BESIDE
        return replace(self, precision="fp32", calibration=None) if beside else self
