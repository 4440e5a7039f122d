"""A check and its outcome."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pointcmt_export.options import Limits

Status = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: what was checked, such as "logits".
        status: "not run" where this machine could not run it, with the reason in `detail`.
        detail: one sentence, with the figure that decided.
        figures: all figures measured.
        engine: the engine of `pointcmt_serve` that was run for it, or None.
    """

    name: str
    status: Status
    detail: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    engine: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the check as it stands in the report."""
        return asdict(self)


@dataclass(frozen=True)
class Thresholds:
    """How far an artefact may be from its checkpoint.

    A limit of None is not asked for; the figure is reported all the same.

    Attributes:
        logits_max: largest absolute difference of a logit.
        logits_mean: mean absolute difference.
        logits_median: median absolute difference.
        argmax_agreement: least share, in [0, 1], of clouds with the same class. A cloud whose two
            best logits are closer than twice `logits_max` counts as agreeing on either.
        accuracy_points: largest difference of OA and of mAcc, in percentage points.
        gains: whether more accuracy than that passes: rounding may bring some, but what is exact
            has none to gain.
        speedup: least samples a second, as a multiple of the checkpoint's in PyTorch.
    """

    logits_max: float | None = 1e-4
    logits_mean: float | None = 5e-5
    logits_median: float | None = 5e-5
    argmax_agreement: float = 1.0
    accuracy_points: float = 0.1
    gains: bool = False
    speedup: float | None = None


EXACT = Thresholds()
# A network that searches neighbours among learnt features turns a rounding error into another
# neighbour now and then, so that single logits may move; most must not.
FEATURE_NEIGHBOURS = Thresholds(
    logits_max=None, logits_mean=1e-2, logits_median=1e-4, argmax_agreement=0.98
)
HALF = Thresholds(
    logits_max=None,
    logits_mean=5e-2,
    logits_median=5e-2,
    argmax_agreement=0.98,
    accuracy_points=0.3,
    gains=True,
)
REDUCED = Thresholds(  # of bfloat16 and int8
    logits_max=None,
    logits_mean=0.2,
    logits_median=0.2,
    argmax_agreement=0.95,
    accuracy_points=0.3,
    gains=True,
)


def limited(thresholds: Thresholds, limits: Limits) -> Thresholds:
    """Return thresholds with the limits that were asked for in place of theirs."""
    asked = {key: value for key, value in asdict(limits).items() if value is not None}
    return replace(thresholds, **asked)


def decide(name: str, good: bool, detail: str, figures: Mapping[str, Any] | None = None) -> Check:
    """Make a check that was run."""
    return Check(name, "passed" if good else "failed", detail, figures or {})


def failed(checks: Iterable[Check]) -> list[Check]:
    """Return the checks that failed."""
    return [check for check in checks if check.status == "failed"]
