"""The sheet of one object: every part is there, and it is written whole."""

import numpy as np
import pytest
from PIL import Image

from pointcmt.errors import InputError
from pointcmt.views.sheet import GAP, SIDE, draw_sheet, save_sheet
from pointcmt.views.surfaces import Surface


def cloud(channels=3):
    raw = np.random.default_rng(0).random((300, channels)).astype(np.float32)
    raw[:, :3] -= 0.5
    return raw


def cells(sheet):
    """The small pictures, row by row."""
    grid = sheet[GAP:, 2 * GAP + 2 * SIDE + GAP :]
    step = SIDE + GAP
    return [
        grid[y : y + SIDE, x : x + SIDE]
        for y in range(0, grid.shape[0] - GAP, step)
        for x in range(0, grid.shape[1] - GAP, step)
    ]


def test_a_cloud_is_shown_with_its_six_projections():
    sheet = draw_sheet(cloud())
    pictures = cells(sheet)
    assert sheet.dtype == np.uint8
    assert len(pictures) == 6
    assert all(picture.shape == (SIDE, SIDE, 3) and picture.any() for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 6


def test_height_is_shown_in_color_and_own_colors_are_kept():
    large = draw_sheet(cloud())[GAP : GAP + 2 * SIDE, GAP : GAP + 2 * SIDE].astype(int)
    upper, lower = large[:SIDE].sum((0, 1)), large[SIDE:].sum((0, 1))
    assert upper[0] > upper[2]  # yellow above
    assert lower[2] > lower[0]  # blue below
    red = cloud(6)
    red[:, 3:] = (1, 0, 0)
    assert not draw_sheet(red)[GAP : GAP + SIDE, GAP : GAP + SIDE, 1:].any()


def large(points):
    """The large picture of a cloud, and the places (row, column) of what is drawn on it."""
    picture = draw_sheet(points)[GAP : GAP + 2 * SIDE, GAP : GAP + 2 * SIDE].astype(float)
    return picture, np.argwhere(picture.any(axis=2))


def test_height_goes_from_blue_by_green_to_yellow():
    points = np.zeros((100, 3), np.float32)
    points[:, 1] = np.linspace(-0.5, 0.5, 5).repeat(20)
    picture, places = large(points)
    drawn = picture[tuple(places.T)]
    levels = np.array([level.mean(0) for level in np.array_split(drawn, 5)])  # from the top
    yellow, green, blue = np.array([[1, 0.9, 0.3], [0.2, 0.8, 0.6], [0.25, 0.35, 0.95]])
    expected = np.array([yellow, (yellow + green) / 2, green, (green + blue) / 2, blue])
    light = levels.max(axis=1) / expected.max(axis=1)  # falls off with the distance
    np.testing.assert_allclose(levels / light[:, None], expected, atol=0.02)


def test_an_object_is_seen_from_above():
    plate = np.array([[0, 0, -0.5], [0, 0, 0.5], [-0.5, 0, 0], [0.5, 0, 0]], np.float32)
    picture, places = large(plate.repeat(20, axis=0))
    light = picture[tuple(places.T)].max(axis=1)
    assert places[light == light.max(), 0].min() > places[light == light.min(), 0].max()


def test_the_pictures_lie_on_paper():
    sheet = draw_sheet(cloud())
    edges = (sheet[:GAP], sheet[-GAP:], sheet[:, :GAP], sheet[:, -GAP:])
    assert all((edge == sheet[0, 0, 0]).all() for edge in edges)
    assert sheet[0, 0, 0] == 255


def test_a_flat_cloud_is_shown():
    flat = cloud()
    flat[:, 1] = 0
    assert draw_sheet(flat).shape == draw_sheet(cloud()).shape


def test_a_mesh_adds_rendered_views():
    pytest.importorskip("pyvista")
    trimesh = pytest.importorskip("trimesh")
    box = trimesh.creation.box((0.5, 0.8, 0.3))
    surface = Surface(np.asarray(box.vertices, np.float64), np.asarray(box.faces, np.int64))
    pictures = cells(draw_sheet(cloud(), [surface]))
    assert len(pictures) == 12
    assert all(picture.any() for picture in pictures)


def test_a_sheet_is_written_as_png(tmp_path):
    sheet = draw_sheet(cloud())
    save_sheet(sheet, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert np.array_equal(np.asarray(picture), sheet)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_sheet(np.zeros((2, 2, 3), np.uint8), tmp_path / "file" / "sheet.png")
