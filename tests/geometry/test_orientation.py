from itertools import product

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import AXES, rotation, turn

CLOUD = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
CHANNELS = ("x", "y", "z", "nx", "ny", "nz")
UNIT = {a: np.eye(3)["xyz".index(a[-1])] * (-1 if a.startswith("-") else 1) for a in AXES}


@pytest.mark.parametrize(("source", "target"), list(product(AXES, AXES)))
def test_a_rotation_is_proper_and_takes_the_axis_to_the_other(source, target):
    matrix = rotation(source, target)
    assert np.array_equal(matrix @ UNIT[source], UNIT[target])
    assert np.array_equal(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1)
    assert np.array_equal(matrix.T, rotation(target, source)) or source == target


def test_z_up_becomes_y_up_as_converters_to_gltf_do_it():
    assert np.array_equal(turn(CLOUD[:, :3], "z", "y"), CLOUD[:, [0, 2, 1]] * [1, 1, -1])


def test_normals_turn_with_the_points_and_colours_stay():
    turned = turn(CLOUD, "x", "z", CHANNELS)
    assert np.array_equal(turned[:, 3:], turn(CLOUD[:, 3:], "x", "z"))
    colours = turn(CLOUD, "x", "z", ("x", "y", "z", "r", "g", "b"))
    assert np.array_equal(colours[:, 3:], CLOUD[:, 3:])


def test_a_batch_turns_like_its_clouds():
    batch = np.stack([CLOUD, CLOUD[::-1]])
    assert np.array_equal(
        turn(batch, "-y", "x", CHANNELS)[1], turn(CLOUD[::-1], "-y", "x", CHANNELS)
    )


def test_an_unknown_axis_is_named():
    with pytest.raises(InputError, match="unknown axis 'up'"):
        turn(CLOUD, "up", "y")
