"""The pieces of work that fill tables: students, and the stages that they share."""

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pointcmt.models import SEGMENTERS, create_student
from pointcmt_training.config import (
    Config,
    EvaluationConfig,
    GeneratorConfig,
    StudentConfig,
    TeacherConfig,
    ViewsConfig,
)
from pointcmt_training.distillation.pointcmt import PointCMT
from pointcmt_training.recipe import shaping

RUNS, STAGES = "runs", "stages"


@dataclass(frozen=True)
class Job:
    """One piece of work: a student, or the stages I and II that students share.

    Attributes:
        name: its folder under the tables' folder; it follows from the configuration alone.
        config: what is trained.
        needs: the job whose teacher and generator a student learns from, or whose encoder a
            segmenter starts from; empty for none.
    """

    name: str
    config: Config
    needs: str = ""

    @property
    def teaches(self) -> bool:
        """Whether it ends with stage II."""
        return self.name.startswith(f"{STAGES}/")


def student_job(config: Config, jobs: dict[str, Job]) -> str:
    """Add the jobs that a student needs; return the name of its own."""
    needs = ""
    if not config.distillation.uses_images:
        config = _without_images(config)
    else:
        stages = _stages(config)
        needs = f"{STAGES}/{config.data.name}-{_digest(_made_of(stages))}-{config.seed}"
        jobs.setdefault(needs, Job(needs, stages))
    network = config.student.replace(":", ".")
    made_of = f"{network}-{config.data.name}-{config.method}-{_digest(shaping(config))}"
    name = f"{RUNS}/{made_of}-{config.seed}"
    jobs.setdefault(name, Job(name, config, needs))
    return name


def segmenter_job(config: Config, classifier: str, jobs: dict[str, Job]) -> str:
    """Add the segmenter that starts from a classifier; return its name."""
    known = inspect.signature(SEGMENTERS[config.student]).parameters
    options = {key: value for key, value in config.options.items() if key in known}
    config = dataclasses.replace(config, options=options)  # a classifier's head is left out
    digest = _digest(shaping(config) | {"start": classifier})
    name = f"{RUNS}/{config.student}-{config.data.name}-{digest}-{config.seed}"
    jobs.setdefault(name, Job(name, config, classifier))
    return name


def _without_images(config: Config) -> Config:
    """Forget what a control does not read, so that all tables share it."""
    generator = GeneratorConfig(points=config.data.points)
    return dataclasses.replace(
        config, views=ViewsConfig(), teacher=TeacherConfig(), generator=generator
    )


def _stages(config: Config) -> Config:
    """Return the run that trains stages I and II alone."""
    data = dataclasses.replace(config.data, unlabelled="", unlabelled_batch=1)
    return dataclasses.replace(
        config,
        method="pointcmt",
        distillation=PointCMT(),
        training=StudentConfig(batch_size=config.teacher.batch_size),
        evaluation=EvaluationConfig(),
        protocol="plain",
        data=data,
    )


def _made_of(stages: Config) -> dict[str, Any]:
    """Return what the weights of stages I and II follow from; of the student only D."""
    options = json.dumps(stages.options, sort_keys=True)
    values = {k: v for k, v in shaping(stages).items() if not k.startswith("options.")}
    return values | {"student": _feature_dim(stages.student, options)}


@lru_cache
def _feature_dim(student: str, options: str) -> int:
    return create_student(student, 2, **json.loads(options)).feature_dim


def _digest(values: Mapping[str, Any]) -> str:
    """Hash what shapes a result, all but the seed, which a name states apart."""
    kept = {key: value for key, value in values.items() if key != "seed"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:10]
