"""Accuracy or part IoU, and speed, of artefact and checkpoint on a labelled data set."""

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pointcmt.data import CloudDataset
from pointcmt.description import ModelConfig
from pointcmt.metrics import accuracy
from pointcmt.part_metrics import choose_parts, part_iou
from pointcmt.parts import part_counts, part_ranges
from pointcmt_export.verify.check import Check, Thresholds, decide
from pointcmt_export.verify.clouds import Clouds
from pointcmt_export.verify.runners import Floats, Runner

BATCH = 32
WARM_UP = 2  # calls before the clock starts: onnxruntime lays out its memory in the second one
NAMES = {
    "oa": "OA",
    "macc": "mAcc",
    "instance_iou": "instance mIoU",
    "class_iou": "class mIoU",
}
NO_DATA = "no data set was named with --data"


def accuracy_checks(
    checkpoint: Runner, artefact: Runner, clouds: Clouds, thresholds: Thresholds
) -> list[Check]:
    """Compare overall accuracy, mAcc and samples a second on the labelled data set.

    Both see each batch one after the other, on the same device, from host memory to host memory;
    the first batch is given to both `WARM_UP` times before the clock starts.

    Args:
        checkpoint: runs the student, on the device of the artefact.
        artefact: runs what was exported.
        clouds: with the data set.
        thresholds: the limits.
    """
    data = clouds.labelled
    if data is None:
        return [Check(name, "not run", NO_DATA) for name in ("accuracy", "speed")]
    contenders = {"checkpoint": checkpoint, "artefact": artefact}
    guesses: dict[str, list[NDArray[np.int64]]] = {name: [] for name in contenders}
    seconds = dict.fromkeys(contenders, 0.0)
    for number, (batch, labels) in enumerate(clouds.labelled_batches(BATCH)):
        for name, runner in contenders.items():
            for _ in range(WARM_UP if number == 0 else 0):
                runner(batch, False)
            logits, taken = _timed(runner, batch)
            guesses[name].append(_guessed(logits, labels, clouds.config))
            seconds[name] += taken
    scores = {
        name: _percent(np.concatenate(found), data, clouds.config)
        for name, found in guesses.items()
    }
    told = {"data": data.name, "clouds": len(data), "points": clouds.config.points}
    ours, theirs = (np.concatenate(guesses[name]) for name in ("artefact", "checkpoint"))
    same = {"agreement": float((ours == theirs).mean()), "data_sha256": data.fingerprint()}
    figures = {**told, **scores, **same}
    rates = {name: len(data) / taken for name, taken in seconds.items()}
    return [
        _accuracy_check(scores, figures, thresholds),
        _speed_check(rates, {**told, "batch": BATCH}, thresholds),
    ]


def _accuracy_check(
    scores: dict[str, dict[str, float]], figures: dict[str, Any], thresholds: Thresholds
) -> Check:
    ours, theirs = scores["artefact"], scores["checkpoint"]
    losses = [theirs[key] - ours[key] for key in ours]
    worst = max(losses if thresholds.gains else map(abs, losses))
    both = [f"{NAMES[key]} {ours[key]:.2f} % beside {theirs[key]:.2f} %" for key in ours]
    what = "class" if "oa" in ours else "part"
    detail = (
        f"{', '.join(both)} on {figures['clouds']} clouds of {figures['data']}, "
        f"the same {what} for {figures['agreement']:.2%}"
    )
    return decide("accuracy", worst <= thresholds.accuracy_points, detail, figures)


def _speed_check(rates: dict[str, float], told: dict[str, Any], thresholds: Thresholds) -> Check:
    speedup, least = rates["artefact"] / rates["checkpoint"], thresholds.speedup
    asked = "" if least is None else f" (at least {least:g} wanted)"
    detail = (
        f"{rates['artefact']:.1f} samples/s beside {rates['checkpoint']:.1f} of the checkpoint in "
        f"PyTorch, {speedup:.2f} times as fast{asked}"
    )
    figures = {**told, "samples_per_s": rates, "speedup": speedup}
    return decide("speed", least is None or speedup >= least, detail, figures)


def _timed(runner: Runner, batch: Floats) -> tuple[Floats, float]:
    start = time.perf_counter()
    logits = runner(batch, False).logits
    return logits, time.perf_counter() - start


def _guessed(logits: Floats, labels: NDArray[np.int64], config: ModelConfig) -> NDArray[np.int64]:
    """The best class of each cloud (B,), or the best part of each point (B, N)."""
    if not config.parts:
        return np.asarray(logits.argmax(1))
    ranges = part_ranges(part_counts(config.parts))
    chosen = choose_parts(torch.from_numpy(logits), torch.from_numpy(labels), ranges)
    return np.asarray(chosen.numpy())


def _percent(
    guesses: NDArray[np.int64], data: CloudDataset, config: ModelConfig
) -> dict[str, float]:
    found, labels = torch.from_numpy(guesses), torch.from_numpy(data.labels)
    if config.parts and data.parts is not None:
        parts = torch.from_numpy(data.parts[:, : config.points])
        iou = part_iou(found, parts, labels, part_ranges(part_counts(config.parts)))
        return {"instance_iou": 100 * iou.instance, "class_iou": 100 * iou.mean_class}
    score = accuracy(found, labels, len(data.classes))
    return {"oa": 100 * score.overall, "macc": 100 * score.mean_class}
