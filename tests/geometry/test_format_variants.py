"""Rare but sound ways to write each format, and cuts that look whole."""

import json

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud, read_mesh
from pointcmt.geometry.formats import parse
from pointcmt.geometry.surface import face_normals
from tests.reference.cloud_files import AREA, VERTICES, examples, glb, gltf
from tests.reference.variants import (
    COLOURS_IN_ONE_LINE,
    COMMENT_WITH_BACKSLASH,
    CONTINUED,
    CUT_ENDS,
    FACES_AND_STRIPS,
    LONE_LIST,
    MICROSOFTS,
    MISSING,
    NO_NUMBERS,
    NORMALS,
    OBJ_POINTS,
    OFF_COLOURS,
    OFF_LINE_ENDS,
    OFF_OF_VERTICES,
    OFF_PREFIXES,
    PADDED,
    PLY_OF_DOUBLES,
    RED,
    SQUARES,
    STL_NAMES,
    STRIPS,
    UNNAMED,
    WHOLE_ENDS,
    WRONG_OBJS,
    named_stl,
    obj_of_seven,
    off_cut_with_colours,
    off_of_coloured_faces,
    off_with,
    ply_naming_twice,
    ply_with_ends,
    with_aliases,
)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def area(path):
    mesh = read_mesh(path)
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


# --- OFF


@pytest.mark.parametrize("faces", [3, 5])
@pytest.mark.parametrize("kinds", ["", "C"])
def test_a_cut_off_with_colours_is_truncated(tmp_path, kinds, faces):
    text = off_cut_with_colours(kinds, faces)
    with pytest.raises(InputError, match=f"{faces} faces, but the header announces 6"):
        read_cloud(write(tmp_path, "a.off", text))


@pytest.mark.parametrize("colour", OFF_COLOURS)
@pytest.mark.parametrize("left", range(6))
def test_no_colour_of_a_cut_off_is_taken_for_a_face(tmp_path, left, colour):
    assert area(write(tmp_path, "a.off", off_of_coloured_faces(colour))) == pytest.approx(AREA)
    with pytest.raises(InputError, match=f"[0-{left}] faces, but the header announces 6"):
        read_cloud(write(tmp_path, "b.off", off_of_coloured_faces(colour, left)))


def test_a_cut_off_of_vertices_alone_is_truncated(tmp_path):
    with pytest.raises(InputError, match="7 vertices, but the header announces 8"):
        read_cloud(write(tmp_path, "a.off", OFF_OF_VERTICES))


@pytest.mark.parametrize("text", OFF_LINE_ENDS.values(), ids=OFF_LINE_ENDS)
def test_an_off_is_read_whatever_its_line_ends(tmp_path, text):
    assert area(write(tmp_path, "a.off", text)) == pytest.approx(AREA)


def test_coloured_vertices_in_one_line_are_refused(tmp_path):
    path = write(tmp_path, "a.off", COLOURS_IN_ONE_LINE)
    with pytest.raises(InputError, match="coloured vertices"):
        read_cloud(path)


@pytest.mark.parametrize(("kinds", "columns"), OFF_PREFIXES[:-1])
def test_off_prefixes_in_any_order(tmp_path, kinds, columns):
    columns = parse(write(tmp_path, "a.off", off_with(kinds, *columns))).columns
    assert np.allclose(np.stack([columns[n] for n in ("nx", "ny", "nz")], 1), NORMALS)
    assert np.allclose([columns[n].mean() for n in "rgb"], [1, 0, 0])


def test_colours_and_texture_coordinates_in_one_off(tmp_path):
    columns = parse(write(tmp_path, "a.off", off_with("CST", RED, NORMALS[:, :2]))).columns
    assert np.allclose([columns[n].mean() for n in "rgb"], [1, 0, 0])


# --- PLY and PCD


@pytest.mark.parametrize("shift", [0, 3])
def test_exact_names_go_before_aliases(tmp_path, shift):
    for name, content in with_aliases(shift).items():
        assert np.allclose(read_cloud(write(tmp_path, name, content)).points, VERTICES)


@pytest.mark.parametrize("ends", [" ", "\n"])
def test_a_text_ply_is_read_whatever_its_line_ends(tmp_path, ends):
    assert area(write(tmp_path, "a.ply", ply_with_ends(ends))) == pytest.approx(AREA)
    for left, reason in ((20, "6 vertices, but the header announces 8"), (40, "3 faces, but")):
        with pytest.raises(InputError, match=reason):
            read_cloud(write(tmp_path, "b.ply", ply_with_ends(ends, left)))


def test_a_list_that_stands_alone_is_the_corners_of_faces(tmp_path):
    assert area(write(tmp_path, "a.ply", LONE_LIST)) == pytest.approx(AREA)


def test_a_ply_without_coordinates_is_told_what_it_has(tmp_path):
    with pytest.raises(
        InputError, match=r"a\.ply: has no channel y, z; it has x, a0, .*a10, \.\.\.$"
    ):
        read_cloud(write(tmp_path, "a.ply", UNNAMED))


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_the_first_of_two_properties_with_one_name_counts(tmp_path, encoding):
    cloud = read_cloud(write(tmp_path, "a.ply", ply_naming_twice(encoding)))
    assert np.allclose(cloud.points, VERTICES)


def test_rows_longer_than_a_ply_announces_are_refused(tmp_path):
    with pytest.raises(InputError, match="12 bytes more than its header announces"):
        read_cloud(write(tmp_path, "a.ply", PLY_OF_DOUBLES))
    behind = PLY_OF_DOUBLES[: -VERTICES.nbytes] + VERTICES.astype("<f4").tobytes() + b"\n"
    assert np.array_equal(read_cloud(write(tmp_path, "a.ply", behind)).points, VERTICES)


def test_strips_of_a_ply_are_unrolled_the_same_way_round(tmp_path):
    mesh = read_mesh(write(tmp_path, "a.ply", STRIPS))
    assert len(mesh.faces) == 4
    assert np.allclose(face_normals(mesh.vertices[mesh.faces])[0], [0, 0, 1])


def test_faces_go_before_strips(tmp_path):
    assert area(write(tmp_path, "a.ply", FACES_AND_STRIPS)) == pytest.approx(AREA)


# --- all


@pytest.mark.parametrize("name", PADDED)
@pytest.mark.parametrize("wide", [False, True])
def test_nul_bytes_behind_a_text_are_passed_over(tmp_path, name, wide):
    text = examples()[name].decode()
    whole = text.encode("utf-16" if wide else "utf-8")
    sound = read_cloud(write(tmp_path, name, whole)).points
    assert np.array_equal(read_cloud(write(tmp_path, name, whole + bytes(300))).points, sound)


@pytest.mark.parametrize("name", NO_NUMBERS)
@pytest.mark.parametrize("word", MICROSOFTS)
def test_no_numbers_of_microsoft_are_none_and_begin_no_comment(tmp_path, name, word):
    with pytest.raises(InputError, match="point 1 has NaN"):
        read_cloud(write(tmp_path, name, NO_NUMBERS[name].format(word)))


# --- glTF


def test_uris_of_gltf_may_be_percent_encoded(tmp_path):
    tree, data = gltf()
    write(tmp_path, "my buf ü.bin", data)
    write(tmp_path, "my tex.png", b"picture")
    inner = tmp_path / "inner"
    inner.mkdir()
    tree["buffers"] = [{"byteLength": len(data), "uri": "my%20buf%20%C3%BC.bin"}]
    tree["images"] = [{"uri": "my%20tex.png"}, {"uri": "%2E%2E/none.png"}]
    path = write(tmp_path, "a.gltf", json.dumps(tree))
    assert area(path) == pytest.approx(AREA)
    paint = parse(path, paint=True).paint
    assert paint.missing == ["%2E%2E/none.png"]
    tree["buffers"][0]["uri"] = "%2E%2E/my%20buf%20%C3%BC.bin"
    with pytest.raises(InputError, match="does not lie beside it"):
        read_mesh(write(inner, "a.gltf", json.dumps(tree)))


@pytest.mark.parametrize("version", ["1.0", "3.0", 1])
def test_another_version_of_gltf_is_named(tmp_path, version):
    tree, _ = gltf(asset={"version": version}, meshes={"a": {}}, nodes={"b": {}})
    with pytest.raises(InputError, match=f"version of glTF is '{version}'; only 2.0 is read"):
        read_cloud(write(tmp_path, "a.gltf", json.dumps(tree)))
    first = glb(*gltf()).replace(b"glTF\2", b"glTF\1")
    with pytest.raises(InputError, match="version of glTF is '1'"):
        read_cloud(write(tmp_path, "a.glb", first))


# --- OBJ


def test_a_comment_of_an_obj_ends_with_its_line(tmp_path):
    path = write(tmp_path, "a.obj", COMMENT_WITH_BACKSLASH)
    assert area(path) == pytest.approx(0.5)
    assert area(write(tmp_path, "b.obj", CONTINUED)) == pytest.approx(0.5)


def test_an_obj_may_end_without_a_line_s_end_and_with_an_unused_vertex(tmp_path):
    assert area(write(tmp_path, "a.obj", SQUARES + "f 4 3 2 1")) == pytest.approx(2)


@pytest.mark.parametrize("last", CUT_ENDS)
def test_an_obj_whose_last_line_is_not_whole_is_truncated(tmp_path, last):
    with pytest.raises(InputError, match="truncated"):
        read_mesh(write(tmp_path, "a.obj", SQUARES + last))


@pytest.mark.parametrize("last", WHOLE_ENDS)
def test_an_obj_may_end_in_a_whole_line_without_an_end(tmp_path, last):
    assert len(read_mesh(write(tmp_path, "a.obj", SQUARES + last)).vertices) == 5


@pytest.mark.parametrize(("text", "reason"), WRONG_OBJS)
def test_a_wrong_obj_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason):
        read_cloud(write(tmp_path, "a.obj", text))


@pytest.mark.parametrize("text", OBJ_POINTS)
def test_the_points_of_an_obj_may_end_without_a_line_s_end(tmp_path, text):
    assert read_cloud(write(tmp_path, "a.obj", text)).points.shape == (3, 3)


@pytest.mark.parametrize(
    ("more", "color"),
    [("1 0.5 0.25 0", (0.5, 0.25, 0)), ("0.5 0.25 0 1", (0.5, 0.25, 0)), ("1 1 1 1", (1, 1, 1))],
)
def test_seven_numbers_of_an_obj_are_weighted_or_transparent(tmp_path, more, color):
    path = write(tmp_path, "a.obj", obj_of_seven(more))
    cloud = read_cloud(path, ("x", "y", "z", "r", "g", "b"))
    assert np.allclose(cloud.points[:, 3:], color)


# --- STL


@pytest.mark.parametrize("name", STL_NAMES)
def test_the_name_of_a_text_stl_is_no_part_of_it(tmp_path, name):
    text = named_stl(name)
    for content in (text, text.replace(b"\n", b"\r"), text.replace(b"\n", b"\r\n")):
        assert area(write(tmp_path, "a.stl", content)) == pytest.approx(AREA)


# --- text


@pytest.mark.parametrize("text", MISSING)
def test_an_empty_cell_counts_only_where_its_channel_is_wanted(tmp_path, text):
    path = write(tmp_path, "a.csv", text)
    assert np.allclose(read_cloud(path).points, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    with pytest.raises(InputError, match="has NaN"):
        read_cloud(path, ("x", "y", "z", "intensity"))
