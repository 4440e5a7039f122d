"""What a model says of itself, checked at one door for model folders and exported files."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pointcmt import __version__
from pointcmt.channels import require_channels, require_vertical, unnamed_channels
from pointcmt.errors import InputError
from pointcmt.geometry import NORMALIZATIONS, XYZ
from pointcmt.parts import Parts, class_channels, part_counts, require_parts

CONFIG_FILE = "config.json"  # of a model folder
HEADER = "pointcmt"  # the entry of a training checkpoint's header that holds the same
FORMAT = "pointcmt-student-1"
MOST_CHANNELS = 1000
WHERE = "the model configuration: "
MOST_POINTS = 1_000_000  # of a cloud when it enters a network
LONGEST = 60  # characters of a wrong value that an error shows


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_name, value))


def _are_distinct_names(value: Any) -> bool:
    return _are_names(value) and len(set(value)) == len(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MOST_POINTS


CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "student": (_is_name, "a name"),
    "classes": (_are_distinct_names, "a list of distinct names"),
    "points": (_is_count, f"a whole number from 1 to {MOST_POINTS:,}"),
    "normalization": (lambda value: value in NORMALIZATIONS, f"one of {', '.join(NORMALIZATIONS)}"),
    "provenance": (lambda value: isinstance(value, Mapping), "an object"),
}


def check_description(stated: Mapping[str, Any], where: str) -> None:
    """Check what a model states of itself.

    Args:
        stated: student, classes, points, normalization, provenance, channels, up and parts, as JSON
            holds them.
        where: what an error begins with, up to the entry's name.

    Raises:
        InputError: an entry is missing, of the wrong type or out of range, or no text can hold it.
    """
    for key, (fits, wanted) in CHECKS.items():
        if key not in stated:
            raise InputError(f"{where}{key} is missing")
        if not fits(stated[key]):
            raise InputError(f"{where}{key} is {_short(stated[key])}, not {wanted}")
    require_channels(stated["channels"], f"{where}channels")
    require_vertical(stated["up"], f"{where}up")
    require_parts(stated["parts"], stated["classes"], f"{where}parts")
    told = class_channels(stated["classes"])
    if stated["parts"] and tuple(stated["channels"])[-len(told) :] != told:
        raise InputError(f"{where}channels do not end in those of the class: {', '.join(told)}")
    for key, value in stated.items():
        require_text(value, f"{where}{key}")


def require_text(value: Any, where: str) -> None:
    """Check that JSON in UTF-8 can hold a value.

    Raises:
        InputError: it cannot, for an unknown type, a lone surrogate or too deep a nesting.
    """
    try:
        json.dumps(value, ensure_ascii=False, default=dict).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{where} cannot be written as text ({type(error).__name__})") from error


def parse_json(text: str, where: str) -> Any:
    """Parse JSON.

    Raises:
        InputError: it is none, or is nested too deeply; the message begins with `where`.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class Described:
    """What follows from the names of classes, channels and parts; see `ModelConfig`."""

    classes: tuple[str, ...]
    channels: tuple[str, ...]
    parts: Parts

    @property
    def outputs(self) -> int:
        """How many logits there are: a class each, or for a segmenter a part each."""
        return sum(part_counts(self.parts)) or len(self.classes)

    @property
    def own_channels(self) -> tuple[str, ...]:
        """The channels that a cloud has, without those that tell a segmenter the class."""
        return self.channels[: -len(self.classes)] if self.parts else self.channels


@dataclass(frozen=True)
class ModelConfig(Described):
    """All that is needed to rebuild a student and to prepare its input.

    Attributes:
        student: name for `create_student`, or of a part segmenter for `create_segmenter`.
        options: its keyword options; those of a segmenter without `parts`.
        classes: class names; a classifier's logits are in their order.
        points: number of points a cloud is brought to before inference.
        normalization: rule of `pointcmt.geometry.normalize` applied to each cloud.
        provenance: where the weights come from: data, method, seed, measured accuracy.
        channels: names of the C values of a point, x, y and z first.
        up: the vertical axis of the training clouds, see `pointcmt.channels`; None: not known.
        parts: of a part segmenter: the names of each class's parts, in the order of its logits.

    Raises:
        InputError: an entry makes no sense (see `pointcmt.description`), or the channels are not as
            many as the student's options say.
    """

    student: str
    options: Mapping[str, Any]
    classes: tuple[str, ...]
    points: int
    normalization: str = "unit-sphere"
    provenance: Mapping[str, Any] = field(default_factory=dict)
    channels: tuple[str, ...] = XYZ
    up: str | None = None
    parts: Parts = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_description({each.name: getattr(self, each.name) for each in fields(self)}, WHERE)
        taken = self.options.get("channels", len(self.channels))
        if taken != len(self.channels):
            raise InputError(
                f"{self.student}: takes {taken} channels a point, but {len(self.channels)} are "
                f"named: {', '.join(self.channels)}"
            )

    def to_json(self) -> str:
        """Return the configuration as JSON text that `from_json` reads back."""
        return json.dumps({"format": FORMAT, "pointcmt": __version__, **asdict(self)}, indent=2)

    @classmethod
    def from_json(cls, text: str, where: str) -> "ModelConfig":
        """Read what `to_json` wrote; `where` names the source in errors.

        Raises:
            InputError: the text is no such configuration.
        """
        raw = parse_json(text, f"{where}: not a PointCMT model configuration; it")
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise InputError(f"{where}: not a PointCMT model configuration of format {FORMAT!r}")
        options = raw.get("options")
        if not isinstance(options, dict):
            raise InputError(f"{where}: options are not an object")
        count = options.get("channels", len(XYZ))
        if type(count) is not int or not len(XYZ) <= count <= MOST_CHANNELS:
            raise InputError(f"{where}: options.channels is not a number from 3 to {MOST_CHANNELS}")
        # What an older file does not have comes first.
        raw = {"channels": unnamed_channels(count), "up": None, "parts": {}, **raw}
        check_description({key: raw[key] for key in raw if key in cls.__match_args__}, f"{where}: ")
        return cls(
            student=raw["student"],
            options=options,
            classes=tuple(raw["classes"]),
            points=raw["points"],
            normalization=raw["normalization"],
            provenance=raw["provenance"],
            channels=tuple(raw["channels"]),
            up=raw["up"],
            parts={name: tuple(parts) for name, parts in raw["parts"].items()},
        )


def read_config(folder: Path) -> ModelConfig:
    """Read the configuration of a model folder.

    Raises:
        InputError: it is missing or damaged.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise InputError(f"{folder}: not a model folder (no {CONFIG_FILE} and model.safetensors)")
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as text ({error})") from error
    return ModelConfig.from_json(text, str(file))
