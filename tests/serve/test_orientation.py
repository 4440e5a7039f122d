import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pointcmt.errors import InputError
from pointcmt.geometry import AXES, half_turn, turn
from pointcmt_serve import Classifier
from pointcmt_serve.commands.classify import main
from pointcmt_serve.orientation import CHOICES, Vertical, choose, upright
from tests.serve.conftest import WriteModel

XYZ = ("x", "y", "z")


def standing(seed: int) -> np.ndarray:
    """(40, 3): a heavy foot and a slim top, y up."""
    rng = np.random.default_rng(seed)
    height = rng.random(40) ** 3
    spread = rng.normal(size=(40, 2)) * (1.1 - height)[:, None]
    return np.stack([spread[:, 0], height, spread[:, 1]], axis=1).astype(np.float32)


def footed(clouds: np.ndarray) -> np.ndarray:
    """(B, 2) logits of a network that knows objects with their foot down: y, mean below middle."""
    y = clouds[..., 1]
    middle = (y.max(axis=1) + y.min(axis=1)) / 2
    width = np.ptp(clouds[..., 0], axis=1) - np.ptp(y, axis=1)
    return np.stack([5 * (middle - y.mean(axis=1)) + width, np.zeros(len(y))], axis=1)


def test_a_guess_finds_the_axis_of_each_cloud_that_the_network_knows() -> None:
    clouds = np.stack([turn(standing(seed), "y", axis) for seed, axis in enumerate(AXES)])
    turned, found = upright(clouds, [Vertical("auto", "guessed")] * 6, "y", XYZ, footed)
    assert found == [Vertical(axis, "guessed") for axis in AXES]
    assert np.allclose(turned[..., 1], [standing(seed)[:, 1] for seed in range(6)])


def test_the_common_axes_win_a_tie() -> None:
    clouds = standing(0)[None]
    _, found = upright(clouds, [Vertical("auto", "guessed")], "y", XYZ, lambda c: c[:, 0, :2] * 0)
    assert found[0].axis in ("y", "z")


def test_a_stated_axis_is_turned_to_the_models_and_as_is_stays() -> None:
    clouds = np.stack([standing(0), standing(1)])
    verticals = [Vertical("x", "stated"), Vertical(None, "as-is")]
    turned, found = upright(clouds, verticals, "z", XYZ, footed)
    assert found == verticals
    assert np.array_equal(turned[0], turn(clouds[0], "x", "z"))
    assert np.array_equal(turned[1], clouds[1])


def test_a_half_turn_keeps_the_vertical() -> None:
    cloud = standing(0)
    assert np.array_equal(half_turn(cloud, "y"), cloud * [-1, 1, -1])
    assert np.array_equal(half_turn(half_turn(cloud, "z"), "z"), cloud)


@pytest.mark.parametrize(
    ("choice", "file", "model", "expected"),
    [
        ("auto", "y", "z", Vertical("y", "file")),
        ("auto", None, "z", Vertical("auto", "guessed")),
        ("auto", None, None, Vertical(None, "as-is")),
        ("auto", "y", "any", Vertical(None, "as-is")),
        ("x", "y", "z", Vertical("x", "stated")),
        ("as-is", "y", "z", Vertical(None, "as-is")),
    ],
)
def test_what_is_stated_comes_before_the_file_and_the_file_before_a_guess(
    choice: str, file: str | None, model: str | None, expected: Vertical
) -> None:
    assert choose(choice, file, model) == expected


def test_an_axis_needs_a_model_that_states_its_own(model: Path) -> None:
    with pytest.raises(InputError, match="does not say which axis was up"):
        Classifier(model, up="z")
    with pytest.raises(InputError, match=f"use one of {', '.join(CHOICES)}"):
        Classifier(model, up="upwards")


def test_the_classifier_turns_what_it_is_told(write_model: WriteModel) -> None:
    path, cloud = write_model(up=json.dumps("y")), standing(0)
    [plain] = Classifier(path)(cloud)
    [turned] = Classifier(path, up="z")(turn(cloud, "y", "z"))
    assert np.allclose(turned.logits, plain.logits, atol=1e-6)
    assert (plain.vertical.axis, turned.vertical) == (None, Vertical("z", "stated"))


def test_the_command_says_what_was_guessed_and_what_was_stated(
    write_model: WriteModel, tmp_path: Path
) -> None:
    model, file = write_model(up=json.dumps("y")), tmp_path / "a.npy"
    np.save(file, standing(0))
    guessed = CliRunner().invoke(main, [str(model), str(file), "--json"])
    assert json.loads(guessed.stdout)[0]["up"]["known"] == "guessed"
    assert "vertical axis of 1 of 1 files was guessed; state it with --up" in guessed.stderr
    stated = CliRunner().invoke(main, [str(model), str(file), "--json", "--up", "-x"])
    assert json.loads(stated.stdout)[0]["up"] == {"axis": "-x", "known": "stated"}
    assert stated.stderr == ""


@pytest.mark.parametrize("votes", [1, 3])
def test_a_guessed_cloud_is_answered_by_the_mean_of_the_votes_and_of_a_half_turn(
    write_model: WriteModel, votes: int
) -> None:
    path, cloud = write_model(up=json.dumps("y")), standing(0)
    [guess] = Classifier(path, up="auto", votes=votes)(cloud)
    assert guess.vertical.axis is not None
    upright_cloud = turn(cloud, guess.vertical.axis, "y")
    [voted], [back] = (
        Classifier(path, votes=votes)(upright_cloud),
        Classifier(path)(half_turn(upright_cloud, "y")),
    )
    expected = (votes * voted.probabilities + back.probabilities) / (votes + 1)
    assert np.allclose(guess.probabilities, expected, atol=1e-5)
