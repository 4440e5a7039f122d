"""Rendered views of meshes with known shapes and paint, on whatever machine runs the tests."""

import sys
from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.views import DODECAHEDRON_VIEWS, SIX_VIEWS, rendering
from pointcmt.views.rendering import render_views, renderer
from pointcmt.views.surfaces import PaintWarning, Surface, read_surfaces

pytest.importorskip("pyvista")
trimesh = pytest.importorskip("trimesh")

FRONT = SIX_VIEWS[:1]
FACE = np.array([[0, 1, 2]])


def surface(mesh):
    return Surface(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))


def odd_box():
    """A box with three different sides and a smaller one on its front: no two views agree."""
    small = trimesh.creation.box((0.3, 0.4, 0.5)).apply_translation((0.2, 0.5, 0.6))
    return trimesh.util.concatenate([trimesh.creation.box((1.0, 1.4, 0.8)), small])


def silhouettes(images):
    return images.max(axis=3) > 0


def test_twenty_views_of_224_pixels_all_different():
    images = render_views([surface(odd_box())])
    assert images.shape == (20, 224, 224, 3)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 20


def test_a_sphere_fills_the_frame():
    mask = silhouettes(render_views([surface(trimesh.creation.icosphere(3))], FRONT))[0]
    # A sphere that touches the frame's edges is a disc of the frame's width.
    assert mask.mean() == pytest.approx(np.pi / 4, abs=0.02)
    assert mask[:, :3].any()
    assert mask[:, -3:].any()


def test_outlines_are_those_of_a_pinhole_camera():
    mesh = odd_box()
    views = DODECAHEDRON_VIEWS[:6]
    images = render_views([surface(mesh)], views, 200).max(axis=3)
    center = mesh.bounds.mean(axis=0)
    corners = (mesh.vertices - center) / np.linalg.norm(mesh.vertices - center, axis=1).max()
    focal, distance = 100 / np.tan(np.radians(15)), 1 / np.sin(np.radians(15))
    for image, view in zip(images, views.astype(np.float64), strict=True):
        right, down, depth = view @ corners.T
        pixels = np.array([down, right]) / (depth + distance) * focal + 100  # row, column
        seen = np.array(np.nonzero(image > 40))  # more than the rim that anti-aliasing adds
        np.testing.assert_allclose(seen.min(axis=1), pixels.min(axis=1), atol=1.5)
        np.testing.assert_allclose(seen.max(axis=1) + 1, pixels.max(axis=1), atol=1.5)


def test_place_and_scale_of_the_mesh_do_not_matter():
    expected = render_views([surface(odd_box())], SIX_VIEWS, 64)
    moved = odd_box().apply_scale(250.0).apply_translation((1000.0, -400, 90))
    images = render_views([surface(moved)], SIX_VIEWS, 64)
    assert np.abs(images.astype(int) - expected).mean() < 0.5


def test_windings_do_not_matter():
    mesh = surface(odd_box())
    flipped = Surface(mesh.vertices, mesh.faces[:, ::-1])
    expected = render_views([mesh], SIX_VIEWS, 64)
    assert np.abs(render_views([flipped], SIX_VIEWS, 64).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("flipped", [False, True])
def test_normals_are_told_by_colour_in_the_axes_of_each_camera(flipped):
    box = surface(trimesh.creation.box((1.0, 1.0, 1.0)))
    faces = box.faces[:, ::-1] if flipped else box.faces
    views = DODECAHEDRON_VIEWS[:5].astype(np.float64)
    images = render_views([Surface(box.vertices, faces)], views, 96, look="normals")
    for image, (right, down, sight) in zip(images, views, strict=True):
        axes = np.concatenate([np.eye(3), -np.eye(3)])  # the normals of a box
        radius = np.sqrt(3) / 2  # of its sphere, which is scaled to one
        camera = -sight / np.sin(np.radians(15))
        shown = axes[axes @ camera > 0.5 / radius]
        expected = np.stack([shown @ right, -(shown @ down), -(shown @ sight)], axis=1)
        expected = ((expected + 1) * 127.5).round().astype(int)
        colors, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
        found = colors[(counts > 200) & colors.any(axis=1)].astype(int)  # rims are blended
        gaps = np.abs(found[:, None] - expected).max(axis=2)
        assert (gaps.min(axis=1) <= 1).all()
        assert (gaps.min(axis=0) <= 1).all()


def test_faces_that_turn_away_from_the_light_are_darker():
    image = render_views([surface(odd_box())], DODECAHEDRON_VIEWS[:1], 64)[0]
    shades = np.unique(image[silhouettes(image[None])[0]][:, 0])
    assert len(shades) > 3


def test_degenerate_faces_and_unused_vertices_change_nothing():
    mesh = surface(odd_box())
    vertices = np.concatenate([mesh.vertices, [[50.0, 0, 0]]])
    faces = np.concatenate([mesh.faces, [[0, 0, 1], [len(vertices) - 1] * 3]])
    images = render_views([Surface(vertices, faces)], FRONT, 64)
    assert np.array_equal(images, render_views([mesh], FRONT, 64))


def test_objects_of_one_window_are_drawn_as_each_alone():
    glass = replace(quad(texture=FOUR, coordinates=CORNERS), opacity=0.4)
    many = [surface(odd_box())], [glass], [surface(odd_box()), quad()], [quad()]
    with renderer(64) as render:
        for look in ("normals", "shaded"):
            for parts in many:
                expected = render_views(parts, SIX_VIEWS, 64, look=look)
                np.testing.assert_array_equal(render(parts, SIX_VIEWS, look), expected)
                with pytest.raises(InputError, match="no face"):
                    render([Surface(np.ones((3, 3)), FACE)], FRONT, look)


def test_what_could_not_be_drawn_is_not_in_the_next_picture(monkeypatch):
    expected = render_views([quad()], FRONT, 64)
    with renderer(64) as render:
        with monkeypatch.context() as patch:
            patch.setattr(rendering, "shoot", Mock(side_effect=MemoryError))
            with pytest.raises(MemoryError):
                render([surface(odd_box())], FRONT, "shaded")
        np.testing.assert_array_equal(render([quad()], FRONT, "shaded"), expected)


def test_background_is_as_asked():
    white = render_views([surface(trimesh.creation.icosphere())], FRONT, 32, background=1.0)
    assert (white[0, 0, 0] == 255).all()


def quad(**paint):
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    return Surface(corners, np.array([[0, 1, 2], [0, 2, 3]]), **paint)


FOUR = np.zeros((64, 64, 3), np.uint8)  # red, green above blue, white
FOUR[:32, :32, 0] = FOUR[:32, 32:, 1] = FOUR[32:, :32, 2] = FOUR[32:, 32:] = 255
CORNERS = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
HUES = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]


def hues_of_quarters(image):
    quarter = np.array([image[20, 20], image[20, 43], image[43, 20], image[43, 43]])
    return (quarter > 60).astype(int).tolist()


def test_texture_is_the_right_way_up():
    images = render_views([quad(texture=FOUR, coordinates=CORNERS)], FRONT, 64)
    assert hues_of_quarters(images[0]) == HUES


def test_face_and_vertex_colors_are_shown():
    faces = render_views(
        [quad(face_colors=np.array([[255, 0, 0], [0, 0, 255]], np.uint8))], FRONT, 64
    )
    assert (faces[0, 40, 25] > 60).tolist() == [False, False, True] or (
        faces[0, 40, 40] > 60
    ).tolist() == [True, False, False]
    vertices = np.array([[255, 0, 0], [255, 0, 0], [0, 255, 0], [0, 255, 0]], np.uint8)
    shown = render_views([quad(vertex_colors=vertices)], FRONT, 64)[0]
    assert shown[46, 32, 0] > 2 * shown[46, 32, 1]
    assert shown[17, 32, 1] > 2 * shown[17, 32, 0]


@pytest.fixture
def textured(tmp_path):
    from PIL import Image

    part = quad()
    visual = trimesh.visual.TextureVisuals(uv=CORNERS, image=Image.fromarray(FOUR))
    mesh = trimesh.Trimesh(part.vertices, part.faces, process=False, visual=visual)
    for suffix in ("glb", "obj"):
        mesh.export(tmp_path / f"quad.{suffix}")
    return tmp_path


@pytest.mark.parametrize("suffix", ["glb", "obj"])
def test_textures_of_files_are_shown(textured, suffix):
    images = render_views(read_surfaces(textured / f"quad.{suffix}"), FRONT, 64)
    assert hues_of_quarters(images[0]) == HUES


def test_a_missing_or_damaged_texture_leaves_the_surface_plain(textured):
    (textured / "material_0.png").write_bytes(b"not a picture")
    with pytest.warns(PaintWarning, match="without a picture that is damaged"):
        surfaces = read_surfaces(textured / "quad.obj")
    assert silhouettes(render_views(surfaces, FRONT, 64))[0].mean() > 0.3
    (textured / "material.mtl").unlink()
    with pytest.warns(PaintWarning, match=r"drawn without material\.mtl"):
        (part,) = read_surfaces(textured / "quad.obj")
    assert len(part.faces) == 2


def test_a_material_outside_the_folder_is_not_opened(tmp_path):
    (tmp_path / "secret.mtl").write_text("newmtl red\nKd 1 0 0\n")
    inside = tmp_path / "meshes"
    inside.mkdir()
    lines = "mtllib {}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl red\nf 1 2 3\n"
    (inside / "in.obj").write_text(lines.format("own.mtl"))
    (inside / "own.mtl").write_text("newmtl red\nKd 1 0 0\n")
    (inside / "out.obj").write_text(lines.format("../secret.mtl"))
    (painted,) = read_surfaces(inside / "in.obj")
    assert painted.face_colors[0].tolist() == [255, 0, 0]
    with pytest.warns(PaintWarning, match=r"out\.obj: drawn without \.\./secret\.mtl"):
        (plain,) = read_surfaces(inside / "out.obj")
    assert plain.face_colors is None


@pytest.mark.parametrize("line", ["my colours.mtl", "first.mtl own.mtl", '"my colours.mtl"'])
def test_a_line_names_a_library_with_blanks_or_several(tmp_path, line):
    text = f"mtllib {line}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl red\nf 1 2 3\n"
    (tmp_path / "mesh.obj").write_text(text)
    (tmp_path / "first.mtl").write_text("newmtl green\nKd 0 1 0\n")
    for name in ("own.mtl", "my colours.mtl"):
        (tmp_path / name).write_text("newmtl red\nKd 1 0 0\n")
    (painted,) = read_surfaces(tmp_path / "mesh.obj")
    assert painted.face_colors[0].tolist() == [255, 0, 0]


def test_glass_is_seen_through(tmp_path):
    lines = (
        "mtllib a.mtl\nv -1 -1 {0}\nv 1 -1 {0}\nv 1 1 {0}\nv -1 1 {0}\nusemtl {1}\nf -4 -3 -2 -1\n"
    )
    (tmp_path / "a.obj").write_text(lines.format(1, "glass") + lines.format(-1, "red"))
    (tmp_path / "a.mtl").write_text("newmtl glass\nKd 0 0 1\nd 0.5\nnewmtl red\nKd 1 0 0\n")
    surfaces = read_surfaces(tmp_path / "a.obj")
    assert [surface.opacity for surface in surfaces] == [0.5, 1.0]
    red, _, blue = render_views(surfaces, FRONT, 64)[0, 32, 32].tolist()
    assert red > 60
    assert blue > 60


def test_a_material_that_hides_itself_wholly_is_taken_for_solid(tmp_path):
    text = "mtllib a.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    (tmp_path / "a.obj").write_text(text)
    (tmp_path / "a.mtl").write_text("newmtl a\nd 0\n")
    assert read_surfaces(tmp_path / "a.obj")[0].opacity == 1


def test_black_objects_stand_out_from_the_black_background():
    black = quad(face_colors=np.zeros((2, 3), np.uint8))
    assert silhouettes(render_views([black], FRONT, 64))[0].mean() > 0.3


def test_many_materials_are_one_surface(tmp_path):
    lines = [f"usemtl m{i}\nv {i} 0 0\nv {i} 1 0\nv {i} 0 1\nf -3 -2 -1" for i in range(3000)]
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + "\n".join(lines) + "\n")
    (tmp_path / "a.mtl").write_text("\n".join(f"newmtl m{i}\nKd {i % 2} 0 0" for i in range(3000)))
    (surface,) = read_surfaces(tmp_path / "a.obj")
    assert surface.face_colors[:4, 0].tolist() == [0, 255, 0, 255]


def test_the_wedges_of_a_ply_show_its_texture(tmp_path):
    from PIL import Image

    Image.fromarray(FOUR).save(tmp_path / "four.png")
    wedge = " ".join(f"{value:g}" for value in CORNERS.ravel())
    rows = "\n".join(" ".join(map(str, row)) for row in quad().vertices)
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile four.png\nelement vertex 4\n"
        "property float x\nproperty float y\nproperty float z\nelement face 1\n"
        "property list uchar int vertex_indices\nproperty list uchar float texcoord\nend_header\n"
        f"{rows}\n4 0 1 2 3 8 {wedge}\n"
    )
    assert hues_of_quarters(render_views(read_surfaces(tmp_path / "a.ply"), FRONT, 64)[0]) == HUES


def test_parts_of_a_scene_keep_their_places_and_colors(tmp_path):
    scene = trimesh.Scene()
    for x, color in ((-2, [255, 0, 0, 255]), (2, [0, 255, 0, 255])):
        ball = trimesh.creation.icosphere(1)
        ball.visual.vertex_colors = color
        scene.add_geometry(ball, transform=trimesh.transformations.translation_matrix((x, 0, 0)))
    scene.export(tmp_path / "two.glb")
    image = render_views(read_surfaces(tmp_path / "two.glb"), FRONT, 64)[0]
    assert image[:, :32, 0].max() > 100 > image[:, :32, 1].max()
    assert image[:, 32:, 1].max() > 100 > image[:, 32:, 0].max()


def test_modelnet_off_with_its_glued_header_is_read(tmp_path):
    (tmp_path / "a.off").write_text("OFF3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    (part,) = read_surfaces(tmp_path / "a.off")
    assert part.faces.tolist() == [[0, 1, 2]]


def test_a_cloud_is_not_a_surface(tmp_path):
    (tmp_path / "cloud.obj").write_text("v 0 0 0\nv 1 0 0\n")
    with pytest.raises(InputError, match=r"cloud\.obj: has no faces to render"):
        read_surfaces(tmp_path / "cloud.obj")


@pytest.mark.parametrize("faces", [np.zeros((0, 3), int), np.array([[0, 1, 1]])])
def test_a_mesh_without_area_is_refused(faces):
    with pytest.raises(InputError, match="no face with an area"):
        render_views([Surface(np.eye(3), faces)], FRONT)


@pytest.mark.parametrize(
    "change", [{"size": 0}, {"size": 5000}, {"background": 2.0}, {"views": np.eye(3)}]
)
def test_arguments_out_of_range_are_named(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        render_views([quad()], **change)


def test_without_vtk_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(InputError, match=r"pointcmt\[render\]"):
        render_views([quad()], FRONT)


def test_nothing_is_said_about_a_missing_display(capfd):
    render_views([quad()], FRONT, 16)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
