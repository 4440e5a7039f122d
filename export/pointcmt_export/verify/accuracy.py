"""Accuracy and speed of the artefact and its checkpoint, side by side on a labelled data set."""

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pointcmt.metrics import accuracy
from pointcmt_export.verify.check import Check, Thresholds, decide
from pointcmt_export.verify.clouds import Clouds
from pointcmt_export.verify.runners import Floats, Runner

BATCH = 32
NO_DATA = "no data set was named with --data"


def accuracy_checks(
    checkpoint: Runner, artefact: Runner, clouds: Clouds, thresholds: Thresholds
) -> list[Check]:
    """Compare overall accuracy, mAcc and samples a second on the labelled data set.

    Both see each batch one after the other, on the same device, from host memory to host memory;
    the first batch is given to both once before the clock starts.

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
    for number, (batch, _) in enumerate(clouds.labelled_batches(BATCH)):
        for name, runner in contenders.items():
            if number == 0:
                runner(batch, False)
            logits, taken = _timed(runner, batch)
            guesses[name].append(logits.argmax(1))
            seconds[name] += taken
    scores = {
        name: _percent(np.concatenate(found), data.labels, len(data.classes))
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
    worst = max(abs(ours[key] - theirs[key]) for key in ("oa", "macc"))
    detail = (
        f"OA {ours['oa']:.2f} % beside {theirs['oa']:.2f} %, "
        f"mAcc {ours['macc']:.2f} % beside {theirs['macc']:.2f} % "
        f"on {figures['clouds']} clouds of {figures['data']}, "
        f"the same class for {figures['agreement']:.2%}"
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


def _percent(
    guesses: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> dict[str, float]:
    score = accuracy(torch.from_numpy(guesses), torch.from_numpy(labels), classes)
    return {"oa": 100 * score.overall, "macc": 100 * score.mean_class}
