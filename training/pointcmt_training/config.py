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

from pointcmt.channels import require_channels
from pointcmt.errors import InputError
from pointcmt.models import SEGMENTERS
from pointcmt_training.distillation import METHODS
from pointcmt_training.distillation.method import Method
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.schedules import Constant, Cosine, Decay, read_schedule
from pointcmt_training.section import Section
from pointcmt_training.values import write_yaml

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Count = Annotated[int, Field(ge=1)]
Smoothing = Annotated[float, Field(ge=0, lt=1)]
AnySchedule = Annotated[Decay, PlainValidator(read_schedule), WithJsonSchema({"type": "object"})]
Optimizer = Literal["adam", "adamw", "sgd"]


def _of_a_cloud(names: list[str]) -> list[str]:
    try:
        return list(require_channels(names, "data.channels"))
    except InputError as error:
        raise InputError("must be different names after x, y, z") from error


Channels = Annotated[list[str], AfterValidator(_of_a_cloud)]


@dataclass(frozen=True)
class DataConfig(Section):
    """Which clouds to train and test on.

    Attributes:
        name: data set, a key of `pointcmt.data.CATALOG`.
        root: folder of the data set; the embedded shapes need none.
        points: points a cloud, the first so many of those stored.
        fraction: class-balanced share of the training split (paper, Table 3).
        subset_seed: seed that draws this share, the validation split and `test_share`.
        validation: share of the training split held out to choose an epoch by.
        unlabelled: clouds without labels for stages II and III: "rest" of the training split, a
            folder of files, or "" for none.
        unlabelled_batch: how many of them join each step.
        per_class: shapes only: training objects a class; half as many are tested on.
        test_share: folder only, where it has no train and test: share of each class to test on.
        channels: folder only: columns to read, by name, x, y and z first.
        up: folder only: vertical axis of files that do not state theirs, or null.
        cache: folder for prepared clouds and decoded pictures; by default in the user's cache
            folder.
        class_balance: against classes of very different sizes, for teacher and student: "weights"
            in the cross-entropy, or a "sampler" that shows every class as often.
    """

    name: str = "shapes"
    root: str = ""
    points: Annotated[int, Field(ge=2)] = 1024
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    subset_seed: Seed = 0
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    unlabelled: str = ""
    unlabelled_batch: Annotated[int, Field(ge=1, le=100_000)] = 32
    per_class: Annotated[int, Field(ge=2)] = 60
    test_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    channels: Channels = field(default_factory=lambda: ["x", "y", "z"])
    up: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None
    cache: str = ""
    class_balance: Literal["none", "weights", "sampler"] = "none"

    def __post_init__(self) -> None:
        """Refuse a folder that would not be read."""
        if self.name == "shapes" and self.root:
            raise InputError(
                f"data.root={self.root}: data.name=shapes reads no folder; use data.name=folder"
            )


@dataclass(frozen=True)
class ViewsConfig(Section):
    """The images that the teacher sees.

    Attributes:
        kind: "projected", six depth projections of each cloud; "projected-color", the same in the
            points' colours; or "rendered", pictures of the meshes (paper, Table 6).
        root: folder of the rendered pictures, `<class>/<split>/<name>_001.png` and so on. Those of
            the embedded shapes and of ModelNet's meshes are made there once.
        size: height and width in pixels of what is projected or rendered here.
        look: of views that are rendered here: "shaded", or "normals", each face in the colour that
            says how it is turned to the camera.
        cameras: where rendered views stand: 20 on a "dodecahedron", "ring12" around the vertical,
            or "six" along the axes.
        drawn: views that each step of stage I draws anew of an object's, random viewpoints as
            augmentation; 0 shows all, as stages II and III and every test do.
        workers: processes that render, and that decode pictures ahead of the steps; 0 does both in
            this one.
        cache_gb: pictures of a split that fill at most so much are kept decoded, in the folder of
            `data.cache` or the user's cache folder; 0 keeps none.
        augment: project augmented clouds in stage I, as SimpleView does. Stages II and III always
            see plain views, whose features are computed once.
        flip: probability that a picture is mirrored in stage I, left to right.
        crop: largest share of a picture's height and width that is cut away in stage I; the rest,
            a random part, is enlarged to the whole.
        erase: probability that stage I blackens a random rectangle in a picture, of 2 to 33 % of
            its area (random erasing).
    """

    kind: Literal["projected", "projected-color", "rendered"] = "projected"
    root: str = ""
    size: Annotated[int, Field(ge=16, le=1024)] = 128
    look: Literal["shaded", "normals"] = "shaded"
    cameras: Literal["dodecahedron", "ring12", "six"] = "dodecahedron"
    drawn: Annotated[int, Field(ge=0, le=20)] = 0
    workers: Annotated[int, Field(ge=0, le=256)] = 1
    cache_gb: Annotated[float, Field(ge=0)] = 4.0
    augment: bool = True
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0


@dataclass(frozen=True)
class AugmentationConfig(Section):
    """How training clouds are changed in every epoch, beside the paper's scale and shift.

    Attributes:
        rotate: "vertical", by any angle about the data set's vertical axis; or "any", to every
            orientation, so that the student needs no axis.
        jitter: standard deviation of the noise of each coordinate, clipped at 0.05.
        dropout: largest share of points that stage III drops from a cloud, in [0, 1); 0.875 is
            PointNet++'s.
    """

    rotate: Literal["none", "vertical", "any"] = "none"
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True)
class Schedule(Section):
    """How one stage is optimised.

    Attributes:
        epochs: passes over the training split.
        batch_size: samples a step; the last, smaller batch of an epoch is dropped.
        optimizer: "adam", "adamw" or "sgd".
        lr: learning rate at the start.
        weight_decay: of the optimiser.
        momentum: of "sgd".
        schedule: how the learning rate goes on, a mapping with its `kind`.
        norm_momentum: share of the batch in the running statistics of batch norm, at the start;
            null leaves it as the network has it.
        norm_schedule: how that goes on.
    """

    epochs: Count = 50
    batch_size: Annotated[int, Field(ge=2)] = 32
    optimizer: Optimizer = "adam"
    lr: Annotated[float, Field(gt=0, le=100)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 1e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: AnySchedule = field(default_factory=Cosine)
    norm_momentum: Annotated[float, Field(gt=0, le=1)] | None = None
    norm_schedule: AnySchedule = field(default_factory=Constant)


@dataclass(frozen=True)
class TeacherConfig(Schedule):
    """Stage I, the multi-view teacher.

    Attributes:
        backbone: name for `pointcmt.teacher.multiview.MultiViewTeacher`.
        width: multiplier of its channels; 0.25 is SimpleView's.
        stem: first layers of a ResNet, "imagenet" or, for small images, SimpleView's "small".
        aggregate: how the views are joined, "max" (Eq. 3) or "mean".
        networks: how many such CNNs answer together; with `start`, all begin with the same weights.
        start: where the CNN's weights start: "" from scratch, "imagenet", or a weight file or
            teacher folder (paper, Table 8).
        label_smoothing: of the cross-entropy.
        parts: how many parts of a batch are encoded one after the other, with the activations of
            one in memory, for a third more time. The update is that of the whole batch, except that
            batch norm normalises each part by itself.
        recompute: forget the activations within each block of the CNN and compute them once more
            for the gradient: the same update to the bit, for a third more time. Not of timm's. On
            Linux, large blocks of memory are then given back at once, which takes time, too.
    """

    backbone: str = "resnet18"
    width: Annotated[float, Field(gt=0, le=16)] = 1.0
    stem: Literal["imagenet", "small"] = "imagenet"
    aggregate: Literal["max", "mean"] = "max"
    networks: Annotated[int, Field(ge=1, le=64)] = 1
    start: str = ""
    label_smoothing: Smoothing = 0.2
    parts: Count = 1
    recompute: bool = False


@dataclass(frozen=True)
class GeneratorConfig(Schedule):
    """Stage II, the cross-modal point generator (CMPG).

    Attributes:
        layers: 3, the paper's MLP, or 1, the released single layer.
        points: points of a decoded cloud, at most `data.points`.
    """

    layers: Annotated[int, Field(ge=1, le=64)] = 3
    points: Count = 1024


@dataclass(frozen=True)
class StudentConfig(Schedule):
    """Stage III, the student; `student` itself names the network, so the section is `training:`.

    Attributes:
        label_smoothing: of the cross-entropy.
        parts: how many parts of a batch are encoded one after the other, with the activations of
            one in memory, for a third more time. The update is that of the whole batch, except that
            batch norm normalises each part by itself.
        selection: which epoch is kept, the last or the best on the validation split.
        evaluations: how often the held-out split is measured on the way, for the curves; where an
            epoch is selected or training may stop early, it is in every epoch.
        early_stop: end when the accuracy on the validation split has not risen for so many epochs;
            0 never does.
        ema: decay of an exponential moving average of the weights, which is then what is measured
            and kept; 0 for none.
    """

    optimizer: Optimizer = "adamw"
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.05
    label_smoothing: Smoothing = 0.2
    parts: Count = 1
    selection: Literal["last", "validation"] = "last"
    evaluations: Annotated[int, Field(ge=0)] = 10
    early_stop: Annotated[int, Field(ge=0)] = 0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0


@dataclass(frozen=True)
class EvaluationConfig(Section):
    """How the finished student is measured beside the plain figure.

    Attributes:
        votes: versions of each cloud whose probabilities are averaged; 1 for no voting.
        repeats: votings of which `protocol=paper` takes the largest.
    """

    votes: Annotated[int, Field(ge=1, le=100)] = 1
    repeats: Annotated[int, Field(ge=1, le=1000)] = 300


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


def _require_floors(section: str, stage: Schedule) -> None:
    """Refuse a schedule whose lowest value lies above its start."""
    starts = {"schedule": ("lr", stage.lr), "norm_schedule": ("norm_momentum", stage.norm_momentum)}
    for key, (name, start) in starts.items():
        floor = getattr(stage, key).floor
        if start is not None and floor > start:
            raise InputError(
                f"{section}.{key}.floor={floor:g}: must be at most {section}.{name}, {start:g}"
            )


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
            _require_floors(section, getattr(self, section))
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
        if self.views.kind == "rendered" and self.data.unlabelled not in ("", "rest"):
            raise InputError(
                f"data.unlabelled={self.data.unlabelled}: a folder of clouds comes without "
                "rendered pictures; use rest, or views.kind=projected"
            )

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
