"""Configuration of a run as frozen dataclasses; `recipe.py` fills them."""

import dataclasses
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
)

from pointcmt.errors import InputError
from pointcmt.models import SEGMENTERS
from pointcmt_training.config.data import AugmentationConfig, DataConfig, ViewsConfig
from pointcmt_training.config.effective import require_effective
from pointcmt_training.config.stages import (
    EvaluationConfig,
    GeneratorConfig,
    Schedule,
    StudentConfig,
    TeacherConfig,
)
from pointcmt_training.distillation import METHODS
from pointcmt_training.distillation.method import Method
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.section import Section, Seed
from pointcmt_training.values import write_yaml

__all__ = [
    "AugmentationConfig",
    "ComputeConfig",
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "GeneratorConfig",
    "Schedule",
    "StudentConfig",
    "TeacherConfig",
    "ViewsConfig",
]


@dataclass(frozen=True)
class ComputeConfig(Section):
    """How the machine is used.

    Attributes:
        sync_batch_norm: with several processes, take batch norm over the batch of all of them, as
            one process would; or over each one's share, which spares their waiting for each other.
        precision: of a step's products: "float32"; or "bf16" or "fp16" by autocast, with weights,
            sums and losses in float32.
        tf32: let a GPU round what goes into float32 products to 10 bits.
        compile: by `torch.compile`; needs a C++ compiler, and minutes before the first step.
        cuda_graphs: let a GPU replay compiled encoders as CUDA graphs where their shapes are fixed.
        deterministic: let a GPU give the same weights in every run, more slowly.
    """

    sync_batch_norm: bool = True
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    tf32: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    deterministic: bool = False


def _known_method(name: str) -> str:
    if name not in METHODS:
        raise InputError(f"must be one of {', '.join(METHODS)}")
    return name


def _options_of_method(value: Any, info: ValidationInfo) -> Method:
    """Fill the options of the method that the recipe names."""
    method = info.data.get("method", Config.method)
    return _adapter(method).validate_json(json.dumps(value))


@lru_cache
def _adapter(method: str) -> TypeAdapter[Method]:
    return TypeAdapter(METHODS[method])


@dataclass(frozen=True)
class Config(Section):
    """A whole run.

    Attributes:
        student: name for `create_student`, or `package.module:Class` of one's own; or of a part
            segmenter, `pointnet2-ssg-parts` or `pointnet2-msg-parts`.
        options: keyword options of the student.
        method: "pointcmt"; "none", the control by the same recipe without images; or a compared
            method (paper, Tables 5 and 7).
        seed: of every random draw of training.
        protocol: "paper" keeps the epoch that is best on the TEST split and reports the largest of
            `evaluation.repeats` votings, as published; only to reproduce published figures.
        device: "auto" takes a GPU where there is one.
        log: a logger of the curves, "tensorboard" in the run's folder of that name.
        stages_from: run folder whose teacher and generator are taken instead of being trained.
        start: run or model folder of a classifier whose encoder a part segmenter starts from.
        checkpoint_seconds: how often a stage saves the state it resumes from.
        distillation: the options of the method.
    """

    student: str = "pointnet2-ssg"
    options: dict[str, Any] = field(default_factory=dict)
    method: Annotated[
        str, AfterValidator(_known_method), WithJsonSchema({"enum": list(METHODS)})
    ] = "pointcmt"
    seed: Seed = 0
    protocol: Literal["plain", "paper"] = "plain"
    device: str = "auto"
    log: Literal["none", "tensorboard"] = "none"
    stages_from: str = ""
    start: str = ""
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 10.0
    data: DataConfig = field(default_factory=DataConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    training: StudentConfig = field(default_factory=StudentConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    distillation: Annotated[Method, PlainValidator(_options_of_method)] = field(
        default_factory=PointCMT
    )

    def __post_init__(self) -> None:
        """Check what concerns more than one section."""
        for section in ("teacher", "generator", "training"):
            require_effective(section, getattr(self, section))
        if self.segments:
            self._require_segmentable()
        elif self.start:
            raise InputError(f"start={self.start}: is for part segmenters, {', '.join(SEGMENTERS)}")
        elif self.distillation.uses_images and self.generator.points > self.data.points:
            raise InputError(
                f"generator.points={self.generator.points}: must be at most data.points, "
                f"{self.data.points}"
            )
        selects = self.training.selection == "validation"
        if (selects or self.training.early_stop) and not self.data.validation:
            needs = "select an epoch by it" if selects else "stop early by it"
            raise InputError(f"data.validation=0.0: must be above 0 to {needs}")
        if self.protocol == "paper" and (selects or self.training.early_stop):
            key = "selection" if selects else "early_stop"
            raise InputError(f"protocol=paper selects on the test split: leave training.{key}")
        if self.teacher.recompute and self.compute.compile:
            raise InputError(
                "teacher.recompute=true: is not for compute.compile=true, which chooses by itself "
                "what to compute once more"
            )
        if self.compute.cuda_graphs and not self.compute.compile:
            raise InputError("compute.cuda_graphs=true: needs compute.compile=true")
        self._require_views()

    def _require_views(self) -> None:
        if self.views.pictured and self.data.unlabelled not in ("", "rest"):
            raise InputError(
                f"data.unlabelled={self.data.unlabelled}: a folder of clouds comes without "
                "pictures; use rest, or views.kind=projected"
            )
        if 0 < self.views.points < self.data.points:
            raise InputError(
                f"views.points={self.views.points}: must be at least data.points, "
                f"{self.data.points}, or 0 for those"
            )
        if self.views.kind == "rendered" and self.views.points:
            raise InputError("views.points: is for clouds, not for views.kind=rendered")

    @property
    def selected_on(self) -> Literal["", "validation", "test"]:
        """The split whose best epoch is kept; empty where the last one is."""
        if self.protocol == "paper":
            return "test"
        return "validation" if self.training.selection == "validation" else ""

    @property
    def segments(self) -> bool:
        """Whether the student tells the parts of objects, not their classes."""
        return self.student in SEGMENTERS

    def _require_segmentable(self) -> None:
        if self.distillation.uses_images or self.method != "none":
            raise InputError(
                f"method={self.method}: parts are learned without a teacher; use method=none, and "
                "start=RUN for the encoder of a classifier that had one"
            )
        refused = {
            "data.class_balance=weights": self.data.class_balance == "weights",
            "data.unlabelled": self.data.unlabelled != "",
            "evaluation.votes": self.evaluation.votes > 1,
            "compute.compile": self.compute.compile,
        }
        if asked := [key for key, is_asked in refused.items() if is_asked]:
            raise InputError(f"{self.student}: parts are learned without {', '.join(asked)}")

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML that `load_config` reads back."""
        return write_yaml(dataclasses.asdict(self))
