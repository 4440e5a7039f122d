"""The artefact beside its checkpoint: indices, logits, classes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pointcmt_export.verify.check import Check, Thresholds, decide
from pointcmt_export.verify.clouds import Clouds
from pointcmt_export.verify.runners import Runner
from pointcmt_serve.engines import Outputs


def parity_checks(
    checkpoint: Runner,
    artefact: Runner,
    clouds: Clouds,
    shapes: Sequence[tuple[int, int]],
    thresholds: Thresholds,
    exact: frozenset[str],
) -> list[Check]:
    """Compare indices, logits and classes over batches of several shapes.

    Args:
        checkpoint: runs the student.
        artefact: runs what was exported.
        clouds: where the batches come from.
        shapes: (batch, points) pairs.
        thresholds: the limits.
        exact: names of the index ops whose results must be equal; the others are reported.
    """
    pairs = []
    for batch, points in shapes:
        cloud = clouds.batch(batch, points)
        pairs.append((checkpoint(cloud, True), artefact(cloud, True)))
    return [
        _indices(pairs, exact),
        _logits(pairs, shapes, thresholds),
        _classes(pairs, thresholds),
    ]


def _indices(pairs: Sequence[tuple[Outputs, Outputs]], exact: frozenset[str]) -> Check:
    expected = {name for reference, _ in pairs for name in reference.indices}
    shares = {
        name: min(_share(reference, given, name) for reference, given in pairs)
        for name in sorted(expected)
    }
    wrong = [name for name in sorted(exact & expected) if shares[name] < 1.0]
    missing = exact - expected
    figures = {"equal_share": shares, "must_be_equal": sorted(exact)}
    if missing:
        detail = f"the checkpoint does not compute {', '.join(sorted(missing))}"
    elif wrong:
        detail = f"{wrong[0]} differs ({shares[wrong[0]]:.4%} of the indices are equal)"
    elif not expected:
        detail = "the student chooses no indices"
    else:
        detail = f"{len(exact)} of {len(expected)} index tensors must be equal and are"
    return decide("indices", not wrong and not missing, detail, figures)


def _share(reference: Outputs, given: Outputs, name: str) -> float:
    a, b = reference.indices[name], given.indices.get(name)
    if b is None or a.shape != b.shape:
        return 0.0
    return float((a == b).mean())


def _logits(
    pairs: Sequence[tuple[Outputs, Outputs]],
    shapes: Sequence[tuple[int, int]],
    thresholds: Thresholds,
) -> Check:
    if any(a.logits.shape != b.logits.shape or not np.isfinite(b.logits).all() for a, b in pairs):
        return decide("logits", False, "the artefact's logits have another shape or are not finite")
    differences = [np.abs(a.logits - b.logits).ravel() for a, b in pairs]
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
    }


def _classes(pairs: Sequence[tuple[Outputs, Outputs]], thresholds: Thresholds) -> Check:
    a = np.concatenate([reference.logits for reference, _ in pairs])
    b = np.concatenate([given.logits for _, given in pairs])
    if a.shape != b.shape:
        return decide("argmax", False, "the artefact gives another number of logits")
    same = a.argmax(1) == b.argmax(1)
    behind = a.max(1) - np.take_along_axis(a, b.argmax(1)[:, None], axis=1)[:, 0]
    agreeing = same | (behind <= 2 * (thresholds.logits_max or 0.0))
    share = float(agreeing.mean())
    detail = f"{int(agreeing.sum())} of {len(a)} clouds get the same class"
    figures = {"agreement": share, "identical": float(same.mean()), "clouds": len(a)}
    return decide("argmax", share >= thresholds.argmax_agreement, detail, figures)
