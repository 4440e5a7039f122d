"""Configuration of a run as frozen dataclasses; `recipe.py` fills them."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from pointcmt.errors import InputError


@dataclass(frozen=True)
class DataConfig:
    """Which clouds to train and test on.

    Attributes:
        name: data set, a key of `pointcmt.data.CATALOG`.
        root: folder of the data set; the embedded shapes need none.
        points: points a cloud, the first so many of those stored.
        fraction: class-balanced share of the training split in (0, 1] (paper, Table 3).
        subset_seed: seed that draws this share and the validation split.
        validation: share of the training split held out to choose an epoch by, in [0, 1).
        per_class: shapes only: training objects a class; half as many are tested on.
    """

    name: str = "shapes"
    root: str = ""
    points: int = 1024
    fraction: float = 1.0
    subset_seed: int = 0
    validation: float = 0.0
    per_class: int = 60

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.points >= 2, "points", self.points, "at least 2")
        _require(0 < self.fraction <= 1, "fraction", self.fraction, "in (0, 1]")
        _require(0 <= self.validation < 1, "validation", self.validation, "in [0, 1)")
        _require(self.per_class >= 2, "per_class", self.per_class, "at least 2")


@dataclass(frozen=True)
class ViewsConfig:
    """The images that the teacher sees.

    Attributes:
        kind: "projected", six depth projections of each cloud; "projected-color", the same in the
            points' colours; or "rendered", pictures of the meshes (paper, Table 6).
        root: folder of the rendered pictures, `<class>/<split>/<name>_001.png` and so on.
        size: height and width of a projection in pixels.
        augment: project augmented clouds in stage I, as SimpleView does. Stages II and III always
            see plain views, whose features are computed once.
    """

    kind: Literal["projected", "projected-color", "rendered"] = "projected"
    root: str = ""
    size: int = 128
    augment: bool = True

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(16 <= self.size <= 1024, "size", self.size, "in 16 to 1024")


@dataclass(frozen=True)
class Schedule:
    """How one stage is optimised; the learning rate falls to zero along a cosine.

    Attributes:
        epochs: passes over the training split.
        batch_size: samples a step; the last, smaller batch of an epoch is dropped.
        optimizer: "adam", "adamw" or "sgd" (momentum 0.9).
        lr: learning rate at the start.
        weight_decay: of the optimiser.
    """

    epochs: int = 50
    batch_size: int = 32
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        _require(self.batch_size >= 2, "batch_size", self.batch_size, "at least 2")
        _require(self.lr > 0, "lr", self.lr, "above 0")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")


@dataclass(frozen=True)
class TeacherConfig(Schedule):
    """Stage I, the multi-view teacher.

    Attributes:
        backbone: name for `pointcmt.teacher.multiview.MultiViewTeacher`.
        width: multiplier of its channels; 0.25 is SimpleView's.
        stem: first layers of a ResNet, "imagenet" or, for small images, SimpleView's "small".
        aggregate: how the views are joined, "max" (Eq. 3) or "mean".
        start: where the CNN's weights start: "" from scratch, "imagenet", or a weight file or
            teacher folder (paper, Table 8).
        label_smoothing: of the cross-entropy.
    """

    backbone: str = "resnet18"
    width: float = 1.0
    stem: Literal["imagenet", "small"] = "imagenet"
    aggregate: Literal["max", "mean"] = "max"
    start: str = ""
    label_smoothing: float = 0.2


@dataclass(frozen=True)
class GeneratorConfig(Schedule):
    """Stage II, the cross-modal point generator (CMPG).

    Attributes:
        layers: 3, the paper's MLP, or 1, the released single layer.
        points: points of a decoded cloud, at most `data.points`.
    """

    layers: int = 3
    points: int = 1024


@dataclass(frozen=True)
class StudentConfig(Schedule):
    """Stage III, the student.

    Attributes:
        label_smoothing: of the cross-entropy.
        selection: which epoch is kept: the last; the best on the validation split; or, only to
            reproduce published figures, the best on the test split ("paper").
        evaluations: how often the held-out split is measured on the way, for the curves.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = 0.05
    label_smoothing: float = 0.2
    selection: Literal["last", "validation", "paper"] = "last"
    evaluations: int = 10


@dataclass(frozen=True)
class DistillationConfig:
    """Weights of the losses beside the cross-entropy; 0 leaves a loss out.

    Attributes:
        feature: alpha of feature enhancement (Eq. 5).
        classifier: beta of classifier enhancement (Eq. 7).
        reduction: of classifier enhancement; the released code sums over the batch.
        weight: of a compared method's loss.
        temperature: of Hinton's method.
    """

    feature: float = 30.0
    classifier: float = 0.3
    reduction: Literal["sum", "batchmean"] = "sum"
    weight: float = 1.0
    temperature: float = 4.0


Method = Literal["none", "pointcmt", "hinton", "normalize1", "normalize2", "srrl", "iekd"]


@dataclass(frozen=True)
class Config:
    """A whole run.

    Attributes:
        student: name for `create_student`, or `package.module:Class` of one's own.
        options: keyword options of the student.
        method: "pointcmt"; "none", the control by the same recipe without images; or a compared
            method (paper, Tables 5 and 7).
        seed: of every random draw of training.
        device: "auto" takes a GPU where there is one.
        stages_from: run folder whose teacher and generator are taken instead of being trained.
        checkpoint_seconds: how often a stage saves the state it resumes from.
    """

    student: str = "pointnet2-ssg"
    options: dict[str, Any] = field(default_factory=dict)
    method: Method = "pointcmt"
    seed: int = 0
    device: str = "auto"
    stages_from: str = ""
    checkpoint_seconds: float = 10.0
    data: DataConfig = field(default_factory=DataConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    training: StudentConfig = field(default_factory=StudentConfig)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)

    def __post_init__(self) -> None:
        """Check what concerns more than one section."""
        fits = self.generator.points <= self.data.points
        _require(fits, "generator.points", self.generator.points, "at most data.points")
        needs = self.training.selection != "validation" or self.data.validation > 0
        _require(needs, "data.validation", self.data.validation, "above 0 to select by it")

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML that `load_config` reads back."""
        return yaml.safe_dump(dataclasses.asdict(self), sort_keys=False)


def _require(holds: bool, key: str, value: object, right: str) -> None:
    if not holds:
        raise InputError(f"{key}={value}: must be {right}")
