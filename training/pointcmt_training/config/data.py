"""What is read and seen: the clouds, the images of their objects, and how both are varied."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pointcmt.channels import require_channels
from pointcmt.errors import InputError
from pointcmt.geometry import XYZ
from pointcmt_training.section import Section, Seed


def _of_a_cloud(names: list[str]) -> list[str]:
    try:
        return list(require_channels(names, "data.channels"))
    except InputError as error:
        raise InputError("must be different names after x, y, z") from error


Channels = Annotated[list[str], AfterValidator(_of_a_cloud)]
FOLDER_ONLY: dict[str, Any] = {"test_share": 0.0, "channels": [*XYZ], "up": None}
"""The keys that only a folder of one's own reads, and their defaults."""


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
    channels: Channels = field(default_factory=lambda: [*XYZ])
    up: Literal["x", "y", "z", "-x", "-y", "-z"] | None = None
    cache: str = ""
    class_balance: Literal["none", "weights", "sampler"] = "none"

    def __post_init__(self) -> None:
        """Refuse a folder, and keys of a folder, that would not be read."""
        if self.name == "shapes" and self.root:
            raise InputError(
                f"data.root={self.root}: data.name=shapes reads no folder; use data.name=folder"
            )
        for key, default in FOLDER_ONLY.items():
            value = getattr(self, key)
            if self.name != "folder" and value != default:
                counts = "; options.channels counts those of a student" if key == "channels" else ""
                raise InputError(
                    f"data.{key}={value}: is for data.name=folder, not for {self.name}{counts}"
                )


@dataclass(frozen=True)
class ViewsConfig(Section):
    """The images that the teacher sees.

    Attributes:
        kind: "projected", depth projections of each cloud; "projected-color", the same in the
            points' colours; "surface", pictures of each cloud's alpha shape; or "rendered",
            pictures of the meshes (paper, Table 6).
        root: folder of the pictures, `<class>/<split>/<name>_001.png` and so on. Those of surfaces,
            of the embedded shapes and of ModelNet's meshes are made there once.
        size: height and width in pixels of what is projected or rendered here.
        points: points of a cloud that are projected, or have the surface, of which the student gets
            the first `data.points`; 0 for those alone.
        look: of pictures that are made here: "shaded", or "normals", each face in the colour that
            says how it is turned to the camera.
        cameras: where the views stand: 20 on a "dodecahedron", "ring12" around the vertical, or
            "six" along the axes; "auto" for six projections, or 20 pictures.
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

    kind: Literal["projected", "projected-color", "surface", "rendered"] = "projected"
    root: str = ""
    size: Annotated[int, Field(ge=16, le=1024)] = 128
    points: Annotated[int, Field(ge=0)] = 0
    look: Literal["shaded", "normals"] = "shaded"
    cameras: Literal["auto", "dodecahedron", "ring12", "six"] = "auto"
    drawn: Annotated[int, Field(ge=0, le=20)] = 0
    workers: Annotated[int, Field(ge=0, le=256)] = 1
    cache_gb: Annotated[float, Field(ge=0)] = 4.0
    augment: bool = True
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    crop: Annotated[float, Field(ge=0, lt=1)] = 0.0
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0

    def __post_init__(self) -> None:
        """Refuse a look of pictures where depth or colours are projected."""
        if self.look != "shaded" and not self.pictured:
            raise InputError(
                f"views.look={self.look}: is for views.kind=surface or rendered, not {self.kind}"
            )

    @property
    def placed(self) -> str:
        """Where the views stand, by name."""
        if self.cameras != "auto":
            return self.cameras
        return "dodecahedron" if self.pictured else "six"

    @property
    def pictured(self) -> bool:
        """Whether the teacher sees pictures from files."""
        return self.kind in ("surface", "rendered")


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
