import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import SAMPLERS, Mesh, sample_mesh, sample_mesh_evenly
from pointcmt.geometry.polygons import triangulate
from pointcmt.geometry.surface import face_normals

# Two triangles: the unit right triangle in z = 0, and one of 9 times its area in z = 1.
TWO = Mesh(
    np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 0, 1], [0, 3, 1]], np.float64),
    np.array([[0, 1, 2], [3, 5, 4]]),
)


def test_points_are_shared_by_area():
    points, _ = sample_mesh(TWO, 20_000)
    assert (points[:, 2] > 0.5).mean() == pytest.approx(0.9, abs=0.01)


def test_points_are_uniform_inside_a_triangle():
    points, _ = sample_mesh(Mesh(TWO.vertices, TWO.faces[:1]), 40_000)
    assert np.allclose(points.mean(axis=0), [1 / 3, 1 / 3, 0], atol=0.005)
    # The part beyond x + y = t has area 1 - t^2 of the whole.
    for t in (0.25, 0.5, 0.75):
        assert (points[:, 0] + points[:, 1] < t).mean() == pytest.approx(t * t, abs=0.01)
    assert (points >= 0).all()
    assert (points[:, 0] + points[:, 1] <= 1 + 1e-12).all()


def test_normals_follow_the_winding_and_have_length_one():
    points, normals = sample_mesh(TWO, 500)
    assert np.allclose(normals, np.where(points[:, 2:] == 0, [0, 0, 1], [0, 0, -1]))


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("away", [0, 1, 2])
def test_triangles_of_a_concave_polygon_face_as_it_does(away, back):
    corners = np.array([[0, 0], [4, 0], [4, 1], [1, 1], [1, 3], [0, 3]], np.float64)  # an L
    flat = np.insert(corners, away, 0, axis=1)
    ring = np.arange(6)[:: -1 if back else 1]
    triangles, _ = triangulate(flat, np.array([6]), ring)
    unit, areas = face_normals(flat[ring[triangles]])
    outwards = (-1 if back != (away == 1) else 1) * np.eye(3)[away]
    assert np.allclose(unit, outwards)
    assert areas.sum() == pytest.approx(6)


def test_the_seed_decides():
    assert np.array_equal(sample_mesh(TWO, 64, 3)[0], sample_mesh(TWO, 64, 3)[0])
    assert not np.array_equal(sample_mesh(TWO, 64, 3)[0], sample_mesh(TWO, 64, 4)[0])


def test_degenerate_faces_receive_nothing():
    faces = np.array([[0, 0, 1], [0, 1, 2], [1, 1, 1], [0, 1, 1]])
    points, normals = sample_mesh(Mesh(TWO.vertices, faces), 300)
    assert (points[:, 2] == 0).all()
    assert np.allclose(normals, [0, 0, 1])


@pytest.mark.parametrize(
    "faces", [np.zeros((0, 3), np.int64), np.array([[0, 0, 1]]), np.array([[2, 2, 2], [0, 0, 0]])]
)
def test_a_mesh_without_area_is_refused(faces):
    with pytest.raises(InputError, match="no face with an area"):
        sample_mesh(Mesh(TWO.vertices, faces), 10)


def test_a_mesh_too_large_for_its_area_is_refused():
    with pytest.raises(InputError, match="area"):
        sample_mesh(Mesh(TWO.vertices * 1e200, TWO.faces), 10)


def test_a_million_faces_are_sampled_in_seconds():
    side = np.linspace(0, 1, 720)
    x, y = np.meshgrid(side, side)
    vertices = np.stack([x, y, 0 * x], axis=-1).reshape(-1, 3)
    corner = (np.arange(719)[:, None] * 720 + np.arange(719)).reshape(-1)
    first = np.stack([corner, corner + 1, corner + 720], axis=1)
    second = np.stack([corner + 1, corner + 721, corner + 720], axis=1)
    points, _ = sample_mesh(Mesh(vertices, np.concatenate([first, second])), 5000)
    assert np.allclose(points[:, :2].mean(axis=0), 0.5, atol=0.02)


# --- even spacing


def nearest(points):
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    return (distance + np.eye(len(points)) * 9).min(axis=1)


def test_even_samples_keep_their_distance():
    even, _ = sample_mesh_evenly(TWO, 400)
    uniform, _ = sample_mesh(TWO, 400)
    spacing = np.sqrt(5 / 400)  # the side of each point's share of the area
    assert nearest(even).min() > 0.5 * spacing
    assert nearest(uniform).min() < 0.2 * spacing


def test_even_samples_leave_no_gap_and_lie_on_the_surface():
    even, normals = sample_mesh_evenly(TWO, 300)
    probes, _ = sample_mesh(TWO, 1000, seed=9)
    gap = np.linalg.norm(probes[:, None] - even[None], axis=2).min(axis=1).max()
    assert gap < 2 * np.sqrt(5 / 300)
    low = even[:, 2] < 0.5
    assert np.allclose(even[low, 2], 0)
    assert np.allclose(even[~low, 2], 1)
    assert np.allclose(normals, np.where(low[:, None], [0, 0, 1], [0, 0, -1]))
    assert (~low).mean() == pytest.approx(0.9, abs=0.03)


def test_even_samples_of_a_tiny_far_mesh_are_even_too():
    far = Mesh(TWO.vertices * 1e-6 + 1e3, TWO.faces)
    even, _ = sample_mesh_evenly(far, 200)
    assert nearest(even * 1e6).min() > 0.5 * np.sqrt(5 / 200)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_is_seeded_and_refuses_what_cannot_be_sampled(name):
    sample = SAMPLERS[name]
    assert np.array_equal(sample(TWO, 50, 1)[0], sample(TWO, 50, 1)[0])
    assert not np.array_equal(sample(TWO, 50, 1)[0], sample(TWO, 50, 2)[0])
    assert sample(TWO, 50, 1)[0].shape == (50, 3)
    with pytest.raises(InputError, match="no face with an area"):
        sample(Mesh(TWO.vertices, TWO.faces[:0]), 10, 0)
    with pytest.raises(InputError, match="ask for 1"):
        sample(TWO, 0, 0)
