"""The artefact beside its checkpoint: indices, logits, classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pointcmt.models import Network
from pointcmt_export.convert.host_steps import HostStep
from pointcmt_export.verify.check import Check, Thresholds, decide
from pointcmt_export.verify.clouds import Clouds
from pointcmt_export.verify.near_ties import ROUNDING, excused
from pointcmt_export.verify.runners import Floats, Runner, checkpoint_runner, following
from pointcmt_serve.engines import Outputs

OPEN = f"distances within {2 * ROUNDING:.1g} of each other, which rounding leaves open"


@dataclass(frozen=True)
class Pair:
    """What both gave for one batch.

    Attributes:
        reference: the checkpoint's indices, and its logits; where rounding excuses other indices of
            the artefact, its logits for those.
        given: the artefact's.
        ties: how many clouds differ in indices that rounding excuses.
        wrong: names of the index ops that differ beyond that.
    """

    reference: Outputs
    given: Outputs
    ties: int = 0
    wrong: frozenset[str] = field(default_factory=frozenset)


def parity_checks(
    student: Network,
    artefact: Runner,
    clouds: Clouds,
    shapes: Sequence[tuple[int, int]],
    thresholds: Thresholds,
    steps: Sequence[HostStep],
) -> list[Check]:
    """Compare indices, logits and classes over batches of several shapes.

    Args:
        student: the checkpoint.
        artefact: runs what was exported.
        clouds: where the batches come from.
        shapes: (batch, points) pairs.
        thresholds: the limits.
        steps: the index ops on coordinates, whose results must be equal but for near-ties, see
            `near_ties`; those of others are reported.
    """
    batches = (clouds.batch(batch, points) for batch, points in shapes)
    pairs = [_pair(student, artefact, batch, steps) for batch in batches]
    return [
        _indices(pairs, frozenset(step.input for step in steps)),
        _logits(pairs, shapes, thresholds),
        _classes(pairs, thresholds),
    ]


def _pair(student: Network, artefact: Runner, points: Floats, steps: Sequence[HostStep]) -> Pair:
    reference, given = checkpoint_runner(student)(points, True), artefact(points, True)
    names = [step.input for step in steps if step.input in reference.indices]
    wrong = {name for name in names if not _comparable(reference, given, name)}
    if wrong:
        return Pair(reference, given, wrong=frozenset(wrong))
    tied = np.zeros(len(points), dtype=bool)
    for name in names:
        tied |= (reference.indices[name] != given.indices[name]).reshape(len(points), -1).any(1)
    if not tied.any():
        return Pair(reference, given)
    chosen = {name: given.indices[name][tied] for name in names}
    wrong = {name for name, good in excused(steps, points[tied], chosen).items() if not good.all()}
    if wrong:
        return Pair(reference, given, wrong=frozenset(wrong))
    logits = reference.logits.copy()
    logits[tied] = following(student)(points[tied], chosen)
    return Pair(Outputs(logits, reference.indices), given, int(tied.sum()))


def _comparable(reference: Outputs, given: Outputs, name: str) -> bool:
    return name in given.indices and given.indices[name].shape == reference.indices[name].shape


def _indices(pairs: Sequence[Pair], exact: frozenset[str]) -> Check:
    expected = {name for pair in pairs for name in pair.reference.indices}
    shares = {
        name: min(_share(pair.reference, pair.given, name) for pair in pairs)
        for name in sorted(expected)
    }
    wrong = sorted({name for pair in pairs for name in pair.wrong})
    missing = exact - expected
    ties, clouds = sum(p.ties for p in pairs), sum(len(p.reference.logits) for p in pairs)
    figures = {
        "equal_share": shares,
        "must_be_equal": sorted(exact),
        "near_ties": {"clouds": ties, "of": clouds, "rounding": ROUNDING},
    }
    if missing:
        detail = f"the checkpoint does not compute {', '.join(sorted(missing))}"
    elif wrong:
        detail = f"{wrong[0]} differs ({shares[wrong[0]]:.4%} of the indices are equal)"
    elif not expected:
        detail = "the student chooses no indices"
    else:
        detail = f"{len(exact)} of {len(expected)} index tensors must be equal and are"
        detail += f", but for near-ties in {ties} of {clouds} clouds ({OPEN})" if ties else ""
    return decide("indices", not wrong and not missing, detail, figures)


def _share(reference: Outputs, given: Outputs, name: str) -> float:
    a, b = reference.indices[name], given.indices.get(name)
    if b is None or a.shape != b.shape:
        return 0.0
    return float((a == b).mean())


def _logits(
    pairs: Sequence[Pair],
    shapes: Sequence[tuple[int, int]],
    thresholds: Thresholds,
) -> Check:
    both = [(pair.reference.logits, pair.given.logits) for pair in pairs]
    if any(a.shape != b.shape or not np.isfinite(b).all() for a, b in both):
        return decide("logits", False, "the artefact's logits have another shape or are not finite")
    differences = [np.abs(a - b).ravel() for a, b in both]
    overall = _summary(np.concatenate(differences))
    limits = {
        "max": thresholds.logits_max,
        "mean": thresholds.logits_mean,
        "median": thresholds.logits_median,
    }
    over = [k for k, limit in limits.items() if limit is not None and overall[k] > limit]
    detail = ", ".join(
        f"{k} {overall[k]:.2g}" + (f" (limit {v:.2g})" if v is not None else "")
        for k, v in limits.items()
    )
    each = [
        {"batch": b, "points": n, **_summary(d)}
        for (b, n), d in zip(shapes, differences, strict=True)
    ]
    return decide("logits", not over, f"difference: {detail}", {**overall, "shapes": each})


def _summary(difference: NDArray[np.float32]) -> dict[str, float]:
    return {
        "max": float(difference.max()),
        "mean": float(difference.mean()),
        "median": float(np.median(difference)),
        "p90": float(np.percentile(difference, 90)),
        "p99": float(np.percentile(difference, 99)),
    }


def _classes(pairs: Sequence[Pair], thresholds: Thresholds) -> Check:
    if any(pair.reference.logits.shape != pair.given.logits.shape for pair in pairs):
        return decide("argmax", False, "the artefact gives another number of logits")
    each = pairs[0].reference.logits.shape[-1]
    a = np.concatenate([pair.reference.logits.reshape(-1, each) for pair in pairs])
    b = np.concatenate([pair.given.logits.reshape(-1, each) for pair in pairs])
    same = a.argmax(1) == b.argmax(1)
    behind = a.max(1) - np.take_along_axis(a, b.argmax(1)[:, None], axis=1)[:, 0]
    agreeing = same | (behind <= 2 * (thresholds.logits_max or 0.0))
    share = float(agreeing.mean())
    of, what = ("points", "part") if pairs[0].reference.logits.ndim == 3 else ("clouds", "class")
    detail = f"{int(agreeing.sum())} of {len(a)} {of} get the same {what}"
    figures = {"agreement": share, "identical": float(same.mean()), of: len(a)}
    return decide("argmax", share >= thresholds.argmax_agreement, detail, figures)
