from pathlib import Path

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt_serve import Classifier
from pointcmt_serve.voting import SCALE, ballot, mean_logits
from tests.reference.tiny_student import reference_logits

Clouds = np.ndarray
NAMES = ("x", "y", "z", "nx", "ny", "nz")


def test_one_vote_changes_nothing(model: Path, clouds: Clouds) -> None:
    [plain] = Classifier(model, votes=1)(clouds[0])
    assert np.array_equal(plain.logits, Classifier(model)(clouds[0])[0].logits)
    assert ballot(clouds, 0, NAMES[:3]) is clouds


def test_votes_are_the_mean_of_the_probabilities(model: Path, clouds: Clouds) -> None:
    got = Classifier(model, votes=3)(clouds)
    chances = []
    for vote in range(3):
        scores = np.exp(reference_logits(ballot(clouds, vote, NAMES[:3])))
        chances.append(scores / scores.sum(axis=1, keepdims=True))
    probabilities = [prediction.probabilities for prediction in got]
    assert np.allclose(probabilities, np.mean(chances, axis=0), atol=1e-6)


def test_a_vote_scales_each_axis_and_keeps_normals_upright_on_the_surface() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 50, 3))
    normal = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    plane -= (plane @ normal)[..., None] * normal
    cloud = np.concatenate([plane, np.broadcast_to(normal, plane.shape)], axis=2)
    version = ballot(cloud.astype(np.float32), 1, NAMES)
    assert np.allclose((version[..., :3] * version[..., 3:]).sum(axis=2), 0, atol=1e-5)
    assert np.allclose(np.linalg.norm(version[..., 3:], axis=2), 1, atol=1e-5)
    ratio = np.sort(np.abs(version[..., :3]), axis=1) / np.sort(np.abs(plane), axis=1)
    assert (ratio > SCALE[0] - 1e-4).all()
    assert (ratio < SCALE[1] + 1e-4).all()
    another = ballot(cloud.astype(np.float32), 2, NAMES)
    assert not np.allclose(np.sort(version, axis=1), np.sort(another, axis=1), atol=1e-3)


def test_a_certain_vote_gives_no_infinite_score() -> None:
    certain = np.array([[1000.0, 0.0]], np.float32)
    assert np.isfinite(mean_logits([certain, certain])).all()


@pytest.mark.parametrize("votes", [0, 101])
def test_a_senseless_number_of_votes_is_refused(model: Path, votes: int) -> None:
    with pytest.raises(InputError, match="ask for 1 to 100"):
        Classifier(model, votes=votes)
