"""The surface of clouds whose shape is known, and of clouds that have none."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pointcmt.errors import InputError
from pointcmt.views.alpha_shape import NUDGE, alpha_shape
from pointcmt.views.pictures import ViewSettings, drawing

pytest.importorskip("pyvista")


def sphere(count: int = 1500) -> np.ndarray:
    """Points spread evenly (Fibonacci's lattice)."""
    height = 1 - 2 * (np.arange(count) + 0.5) / count
    angle = np.pi * (1 + 5**0.5) * np.arange(count)
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], axis=1).astype(np.float32)


def corners(mesh):
    return mesh.vertices[mesh.faces]  # (F, 3, 3)


def area(mesh):
    a, b, c = corners(mesh).transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def test_a_sphere_is_covered_by_its_own_points():
    """Slivers lie on the sphere twice, so that their area counts twice."""
    points = sphere()
    mesh = alpha_shape(points)
    assert 0.98 * 4 * np.pi < area(mesh) < 2.5 * 4 * np.pi
    assert np.linalg.norm(corners(mesh).mean(axis=1), axis=1).min() > 0.99
    apart, nearest = cKDTree(points).query(mesh.vertices)
    assert apart.max() < 6 * NUDGE
    assert len(set(nearest)) == len(points)


def test_what_does_not_fit_into_the_small_sphere_stays_open():
    points = sphere()
    cut = points[np.abs(points[:, 1]) > 0.4]  # two caps, further apart than alpha
    mesh = alpha_shape(cut)
    a, b, c = corners(mesh).transpose(1, 0, 2)
    sides = [np.linalg.norm(x - y, axis=1) for x, y in ((a, b), (b, c), (c, a))]
    assert np.max(sides) <= 2 * 0.12
    assert (corners(mesh)[..., 1].min(axis=1) * corners(mesh)[..., 1].max(axis=1) > 0).all()
    assert len(alpha_shape(cut, alpha=1.0).faces) != len(mesh.faces)


def test_a_cube_is_solid():
    """No tetrahedron inside it shows."""
    random = np.random.default_rng(0)
    mesh = alpha_shape(random.uniform(-0.5, 0.5, (4000, 3)).astype(np.float32))
    inner = np.abs(corners(mesh)).max(axis=2).min(axis=1) < 0.35
    assert inner.mean() < 0.01
    assert area(mesh) > 6


@pytest.mark.parametrize("kind", ["plane", "grid"])
def test_points_in_one_plane_or_on_a_grid_have_a_surface(kind: str) -> None:
    steps = np.linspace(-0.5, 0.5, 12)
    grid = np.stack(np.meshgrid(steps, steps, steps if kind == "grid" else [0.0]), axis=-1)
    mesh = alpha_shape(grid.reshape(-1, 3).astype(np.float32))
    sides = 6 if kind == "grid" else 1
    assert area(mesh) >= 0.95 * sides


def test_it_is_the_same_every_time():
    first, second = (alpha_shape(sphere(600)) for _ in range(2))
    np.testing.assert_array_equal(first.vertices, second.vertices)
    np.testing.assert_array_equal(first.faces, second.faces)


@pytest.mark.parametrize("count", [4, 9, 60])
def test_a_sparse_cloud_has_a_surface_all_the_same(count: int) -> None:
    mesh = alpha_shape(sphere(count))
    assert len(np.unique(mesh.faces)) >= count / 2
    assert area(mesh) > 0.5


@pytest.mark.parametrize("cloud", [np.zeros((1, 3)), np.eye(3), np.zeros((0, 3))])
def test_points_without_a_surface_are_refused(cloud: np.ndarray) -> None:
    with pytest.raises(InputError, match="a surface needs four points"):
        alpha_shape(cloud.astype(np.float32))


def test_its_pictures_show_a_closed_ball():
    with drawing(ViewSettings("surface", "six", 32)) as draw:
        lit = draw(np.concatenate([sphere(), sphere()], axis=1))[..., 0] > 0
    y, x = np.mgrid[:32, :32] - 15.5
    for view in lit:
        assert view[np.hypot(x, y) < 8].all()
        assert abs(view.sum() - lit[0].sum()) < 20
