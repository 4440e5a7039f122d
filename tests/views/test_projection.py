"""Projected views against a point-by-point oracle, and what must hold of every projection."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointcmt.views import DODECAHEDRON_VIEWS, SIX_VIEWS, look_from, project_color, project_depth
from tests.reference import projection as oracle

FRONT = SIX_VIEWS[:1]


def ball(clouds, points, seed=0, radius=1.0):
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=(clouds, points, 3))
    raw *= radius * generator.random((clouds, points, 1)) / np.linalg.norm(raw, axis=2)[..., None]
    return raw.astype(np.float32)


def certain_cloud(views, size, splat, radius=1.0, seed=0, count=150, **camera):
    cloud = ball(1, 2 * count, seed, radius)[0]
    return cloud[oracle.certain(cloud, views, size, splat, **camera)][:count]


@pytest.mark.parametrize("splat", [1, 2, 3, 6])
@pytest.mark.parametrize("views", [SIX_VIEWS, DODECAHEDRON_VIEWS], ids=["six", "twenty"])
def test_depth_equals_the_oracle(views, splat):
    cloud = certain_cloud(views, 40, splat)
    images = project_depth(torch.from_numpy(cloud)[None], 40, splat=splat, views=views)
    assert images.shape == (1, len(views), 1, 40, 40)
    assert images.dtype == torch.float32
    expected = np.stack([oracle.draw(cloud, view, 40, splat) for view in views])
    np.testing.assert_allclose(images[0, :, 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(("distance", "fov", "radius"), [(1.4, 90, 3.0), (4.0, 35, 1.0)])
def test_other_cameras_and_points_outside_equal_the_oracle(distance, fov, radius):
    camera = {"distance": distance, "fov": fov}
    cloud = certain_cloud(SIX_VIEWS, 31, 4, radius, **camera)
    images = project_depth(torch.from_numpy(cloud)[None], 31, splat=4, **camera)
    expected = np.stack([oracle.draw(cloud, view, 31, 4, **camera) for view in SIX_VIEWS])
    np.testing.assert_allclose(images[0, :, 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("splat", [1, 3])
def test_color_equals_the_oracle(splat):
    cloud = certain_cloud(SIX_VIEWS, 40, splat)
    colors = np.random.default_rng(1).random(cloud.shape).astype(np.float32)
    images = project_color(
        torch.from_numpy(cloud)[None], torch.from_numpy(colors)[None], 40, splat=splat
    )
    assert images.shape == (1, 6, 3, 40, 40)
    expected = [oracle.draw(cloud, view, 40, splat, colors=colors) for view in SIX_VIEWS]
    np.testing.assert_allclose(images[0].numpy(), np.stack(expected), atol=1e-5)


def test_white_cloud_in_color_is_the_depth_image_three_times():
    cloud = torch.from_numpy(ball(2, 200))
    color = project_color(cloud, torch.ones_like(cloud), 48)
    torch.testing.assert_close(color, project_depth(cloud, 48).expand_as(color))


@given(seed=st.integers(0, 2**16), splat=st.sampled_from([1, 3]))
@settings(max_examples=20)
def test_quarter_turn_about_the_vertical_permutes_the_side_views(seed, splat):
    cloud = torch.from_numpy(ball(1, 60, seed))
    turned = torch.stack([cloud[..., 2], cloud[..., 1], -cloud[..., 0]], dim=2)  # +x goes to -z
    before, after = (project_depth(c, 32, splat=splat)[0] for c in (cloud, turned))
    assert torch.equal(after[[2, 3, 0, 1]], before[[1, 2, 3, 0]])


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20)
def test_order_of_points_does_not_matter(seed):
    cloud = torch.from_numpy(ball(1, 80, seed))
    shuffled = cloud[:, torch.randperm(80, generator=torch.Generator().manual_seed(seed))]
    assert torch.equal(project_depth(cloud, 32), project_depth(shuffled, 32))


@given(seed=st.integers(0, 2**16), batch=st.integers(1, 5))
@settings(max_examples=20)
def test_a_cloud_looks_the_same_in_every_batch(seed, batch):
    clouds = torch.from_numpy(ball(batch, 50, seed))
    together = project_depth(clouds, 24)
    alone = torch.cat([project_depth(cloud[None], 24) for cloud in clouds])
    assert torch.equal(together, alone)


def test_a_batch_larger_than_a_block_is_drawn_whole(monkeypatch):
    clouds = torch.from_numpy(ball(7, 50))
    colors = torch.from_numpy(np.random.default_rng(0).random((7, 50, 3), np.float32))
    expected = project_depth(clouds, 24), project_color(clouds, colors, 24)
    monkeypatch.setattr("pointcmt.views.projection.BLOCK", 2 * 6 * 24 * 24 * 4)
    assert torch.equal(project_depth(clouds, 24), expected[0])
    assert torch.equal(project_color(clouds, colors, 24), expected[1])


def test_nearest_point_wins_whatever_the_order():
    near, far = [0.0, 0.0, 0.5], [0.0, 0.0, -0.5]
    colors = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0]]])
    for order, hue in (([near, far], 0), ([far, near], 1)):
        cloud = torch.tensor([order])
        depth = project_depth(cloud, 9, views=FRONT)[0, 0, 0]
        assert depth[4, 4].item() == pytest.approx(1 - 0.8 * 0.5 / 2)
        color = project_color(cloud, colors, 9, views=FRONT)[0, 0, :, 4, 4]
        assert color.nonzero().flatten().tolist() == [hue]


def test_the_first_of_coincident_points_gives_its_color():
    cloud = torch.zeros(1, 2, 3)
    colors = torch.tensor([[[0.0, 0, 1.0], [0, 1.0, 0]]])
    color = project_color(cloud, colors, 9, views=FRONT)[0, 0, :, 4, 4]
    assert color.nonzero().flatten().tolist() == [2]


def test_image_axes_are_right_and_up_as_seen_from_the_camera():
    right_and_up = torch.tensor([[[0.4, 0.0, 0.0], [0.0, 0.6, 0.0]]])
    image = project_depth(right_and_up, 64, splat=1, views=FRONT)[0, 0, 0]
    (row_up, column_up), (row_right, column_right) = image.nonzero().tolist()
    assert row_up < 32 <= column_right - 5
    assert column_up == 32 == row_right


def test_a_splat_covers_its_stated_square():
    for splat in range(1, 8):
        image = project_depth(torch.zeros(1, 1, 3), 16, splat=splat, views=FRONT)[0, 0, 0]
        rows, columns = image.nonzero().T
        assert len(rows) == splat**2
        assert rows.max() - rows.min() == columns.max() - columns.min() == splat - 1


def test_shade_stays_in_range_and_off_the_background():
    images = project_depth(torch.from_numpy(ball(2, 400, radius=1.3)), 32)
    assert images.max() <= 1
    assert images[images > 0].min() >= 0.2 - 1e-6


def test_points_that_cannot_be_seen_leave_no_trace():
    cloud = torch.from_numpy(ball(1, 60))
    unseen = [[float("nan")] * 3, [0.0, 0.0, 1.39], [0, 0, 5.0], [9.0, 0, 0], [float("inf"), 0, 0]]
    mixed = torch.cat([torch.tensor([unseen]), cloud], dim=1)
    expected = project_depth(cloud, 32, views=FRONT)
    assert torch.equal(project_depth(mixed, 32, views=FRONT), expected)
    colors = torch.rand(mixed.shape, generator=torch.Generator().manual_seed(0))
    with_unseen = project_color(mixed, colors, 32, views=FRONT)
    assert torch.equal(with_unseen, project_color(cloud, colors[:, 5:], 32, views=FRONT))


@pytest.mark.parametrize("shape", [(2, 0, 3), (0, 5, 3), (0, 0, 3)])
def test_nothing_to_draw_gives_black_images(shape):
    images = project_depth(torch.zeros(shape), 16)
    assert images.shape == (shape[0], 6, 1, 16, 16)
    assert not images.any()


def test_one_pixel_and_one_point_are_enough():
    assert project_depth(torch.zeros(1, 1, 3), size=1, splat=1).gt(0).all()


def test_number_of_views_is_free():
    cloud = torch.from_numpy(ball(2, 30))
    for count in (0, 1, 11):
        views = torch.from_numpy(np.repeat(FRONT, count, axis=0))
        assert project_depth(cloud, 16, views=views).shape == (2, count, 1, 16, 16)


def test_half_and_double_precision_and_gradients_are_taken():
    cloud = torch.from_numpy(ball(1, 30)).half()
    image = project_depth(cloud, 16)
    assert torch.equal(project_depth(cloud.double().requires_grad_(), 16), image)


def test_input_is_left_as_it_was():
    cloud = torch.from_numpy(ball(1, 30))
    before = cloud.clone()
    project_depth(cloud, 16)
    project_color(cloud, cloud.abs(), 16)
    assert torch.equal(cloud, before)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"points": torch.zeros(1, 4, 3, dtype=torch.int64)}, TypeError, "floating-point"),
        ({"points": torch.zeros(4, 3)}, ValueError, r"points must be \(B, N, 3\)"),
        ({"points": torch.zeros(1, 4, 6)}, ValueError, r"points must be \(B, N, 3\)"),
        ({"size": 0}, ValueError, "size"),
        ({"splat": 0}, ValueError, "splat"),
        ({"size": 4096}, ValueError, "together at most 4096"),
        ({"distance": 0.0}, ValueError, "distance"),
        ({"fov": 180.0}, ValueError, "fov"),
        ({"views": np.eye(3, dtype=np.float32)}, ValueError, r"views must be \(V, 3, 3\)"),
    ],
)
def test_bad_arguments_are_named(change, error, match):
    arguments = {"points": torch.zeros(1, 4, 3), **change}
    with pytest.raises(error, match=match):
        project_depth(**arguments)
    with pytest.raises(error, match=match):
        project_color(colors=torch.zeros(1, 4, 3), **arguments)


@pytest.mark.parametrize(
    ("points", "colors"),
    [
        (torch.zeros(1, 4, 3), torch.zeros(1, 5, 3)),
        (torch.zeros(1, 4, 3), torch.zeros(1, 4, 3, dtype=torch.uint8)),
        (torch.zeros(1, 0, 3), torch.zeros(1, 0, 3)),
    ],
)
def test_colors_must_match_the_points(points, colors):
    with pytest.raises(ValueError, match="colors must be"):
        project_color(points, colors)


def test_a_view_from_a_direction_shows_what_points_there_as_nearest():
    direction = np.array([0.3, 0.5, -0.8])
    tip = torch.tensor(direction / np.linalg.norm(direction), dtype=torch.float32)
    image = project_depth(tip.view(1, 1, 3) * 0.999, 9, views=look_from([direction]))
    assert image[0, 0, 0, 4, 4] > 0.99
