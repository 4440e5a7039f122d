"""Camera rotations: proper, upright, and the polyhedra that they claim to be."""

import numpy as np
import pytest

from pointcmt.views import DODECAHEDRON_VIEWS, SIX_VIEWS, look_from, ring
from pointcmt.views.cameras import dodecahedron, six

Z_UP = (0, 0, 1)
EVERY = {
    "six": SIX_VIEWS,
    "six-z": six(Z_UP),
    "six-tilted": six((0.1, 0.9, 0.3)),
    "dodecahedron": DODECAHEDRON_VIEWS,
    "dodecahedron-z": dodecahedron(Z_UP),
    "ring": ring(12),
    "ring-z": ring(7, -20, Z_UP),
}


@pytest.mark.parametrize("name", EVERY)
def test_views_are_proper_rotations(name):
    views = EVERY[name].astype(np.float64)
    np.testing.assert_allclose(
        views @ views.transpose(0, 2, 1), np.tile(np.eye(3), (len(views), 1, 1)), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.det(views), 1, atol=1e-6)
    assert EVERY[name].dtype == np.float32


@pytest.mark.parametrize("up", [(0, 1, 0), Z_UP])
def test_dodecahedron_views_are_upright_and_from_its_vertices(up):
    views = dodecahedron(up)
    cameras = -views[:, 2].astype(np.float64)
    assert len(cameras) == 20
    angles = np.degrees(np.arccos(np.clip(cameras @ cameras.T, -1, 1)))
    # Each vertex of a regular dodecahedron sees 3 neighbours, then 6, 6, 3 and its opposite.
    for row in np.sort(angles, axis=1):
        np.testing.assert_allclose(row[1:4], 41.810, atol=0.01)
        np.testing.assert_allclose(row[4:10], 70.529, atol=0.01)
        np.testing.assert_allclose(row[10:16], 109.471, atol=0.01)
        np.testing.assert_allclose(row[16:19], 138.190, atol=0.01)
        np.testing.assert_allclose(row[19], 180, atol=0.1)
    assert (views[:, 1] @ np.array(up) < 0).all()  # the image's down never points upwards
    np.testing.assert_allclose(views[:, 0] @ np.array(up), 0, atol=1e-6)  # level horizon


def test_six_views_look_along_the_axes_exactly():
    assert set(np.unique(SIX_VIEWS)) == {-1.0, 0.0, 1.0}
    cameras = [tuple(camera) for camera in -SIX_VIEWS[:, 2]]
    assert cameras == [(0, 0, 1), (1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 1, 0), (0, -1, 0)]


def test_six_views_with_z_up_begin_at_the_front_of_the_meshes():
    cameras = [tuple(camera) for camera in -six(Z_UP)[:, 2]]
    assert cameras == [(0, -1, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, 0, 1), (0, 0, -1)]
    assert (six(Z_UP)[:4, 1] == (0, 0, -1)).all()


@pytest.mark.parametrize("views_of", [six, dodecahedron, lambda up: ring(5, 20, up)])
def test_an_object_looks_the_same_whichever_axis_is_its_vertical(views_of):
    z_up_of = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # y becomes z, z becomes -y
    points = np.random.default_rng(0).normal(size=(20, 3))
    seen = views_of((0, 1, 0)) @ points.T
    np.testing.assert_allclose(views_of(Z_UP) @ (z_up_of @ points.T), seen, atol=1e-5)


def test_constants_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        SIX_VIEWS[0, 0, 0] = 2


def test_ring_starts_at_the_front_and_turns_evenly():
    cameras = -ring(12, 30).astype(np.float64)[:, 2]
    np.testing.assert_allclose(cameras[:, 1], 0.5, atol=1e-6)
    np.testing.assert_allclose(cameras[0], [0, 0.5, np.sqrt(0.75)], atol=1e-6)
    steps = np.einsum("vc,vc->v", cameras[:, [0, 2]], np.roll(cameras, 1, 0)[:, [0, 2]])
    np.testing.assert_allclose(steps, 0.75 * np.cos(np.pi / 6), atol=1e-6)


def test_poles_tilt_over_from_the_front():
    top, bottom = look_from([(0, 1, 0), (0, -1, 0)])
    np.testing.assert_allclose(top[0], [1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(top[1], [0, 0, 1], atol=1e-7)
    np.testing.assert_allclose(bottom[0], [1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(bottom[1], [0, 0, -1], atol=1e-7)


@pytest.mark.parametrize("bad", [[(0, 0, 0)], [(np.nan, 0, 1)], [(0, np.inf, 1)]])
def test_directions_must_be_finite_and_not_zero(bad):
    with pytest.raises(ValueError, match="directions must be finite"):
        look_from(bad)


def test_up_must_not_be_zero():
    with pytest.raises(ValueError, match="up must be finite"):
        look_from([(0, 0, 1)], up=(0, 0, 0))


def test_a_ring_has_a_camera():
    with pytest.raises(ValueError, match="count"):
        ring(0)


@pytest.mark.parametrize("up", [(0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_a_ring_turns_from_the_front_to_the_right_as_the_six_views_do(up):
    assert np.allclose(ring(4, 0.0, up), six(up)[:4], atol=1e-6)
