"""How each of the three stages trains, and how the finished student is measured."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from pointcmt_training.schedules import Constant, Cosine, Decay, read_schedule
from pointcmt_training.section import Count, Section

Smoothing = Annotated[float, Field(ge=0, lt=1)]
AnySchedule = Annotated[Decay, PlainValidator(read_schedule), WithJsonSchema({"type": "object"})]
Optimizer = Literal["adam", "adamw", "sgd"]


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
