"""Rare but sound ways to write each format, and cuts that look whole."""

import json

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud, read_mesh
from pointcmt.geometry.formats import parse
from pointcmt.geometry.surface import face_normals
from tests.reference.cloud_files import AREA, VERTICES, gltf, off, ply, rows, stl_text

CENTRED = VERTICES - VERTICES.mean(axis=0)
NORMALS = CENTRED / np.linalg.norm(CENTRED, axis=1, keepdims=True)
RED = np.tile([255, 0, 0, 255], (8, 1))
FACES = off().decode().splitlines()[10:]
HEADER = "ply\nformat ascii 1.0\nelement vertex {}\n{}end_header\n"


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def area(path):
    mesh = read_mesh(path)
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def properties(*names):
    return "".join(f"property float {name}\n" for name in names)


def off_with(kinds, *columns, faces=FACES):
    return "\n".join([f"{kinds}OFF", "8 6 0", rows(np.hstack([VERTICES, *columns])), *faces, ""])


# --- OFF


@pytest.mark.parametrize("faces", [3, 5])
@pytest.mark.parametrize("kinds", ["", "C"])
def test_a_cut_off_with_colours_is_truncated(tmp_path, kinds, faces):
    colours = np.tile([3, 2, 1], (8, 1))
    text = off_with(kinds, colours, faces=FACES[:faces])
    with pytest.raises(InputError, match=f"{faces} faces, but the header announces 6"):
        read_cloud(write(tmp_path, "a.off", text))


@pytest.mark.parametrize("colour", ["0 0 0", "1 1 1", "0", "1", "3 2 1"])
@pytest.mark.parametrize("left", range(6))
def test_no_colour_of_a_cut_off_is_taken_for_a_face(tmp_path, left, colour):
    faces = [f"{face} {colour}" for face in FACES]
    assert area(write(tmp_path, "a.off", off_with("", faces=faces))) == pytest.approx(AREA)
    with pytest.raises(InputError, match=f"[0-{left}] faces, but the header announces 6"):
        read_cloud(write(tmp_path, "b.off", off_with("", faces=faces[:left])))


def test_a_cut_off_of_vertices_alone_is_truncated(tmp_path):
    with pytest.raises(InputError, match="7 vertices, but the header announces 8"):
        read_cloud(write(tmp_path, "a.off", f"OFF\n8 0 0\n{rows(VERTICES[:7])}"))


@pytest.mark.parametrize(
    "text",
    [
        off_with("", faces=[f"{face} 0 0 0" for face in FACES]).replace("\n0 0 6", " 0 0 6"),
        off_with("", faces=[face.replace(" ", "\n", 3) for face in FACES]),
        off_with("").replace("8 6 0", "8\n6\n0"),
        off_with("").replace("8 6 0", "8\n6 0"),
        off_with("").replace("\n", " ").replace("OFF ", "OFF\n"),
    ],
    ids=["two vertices a line", "wrapped faces", "counts", "two counts", "one line"],
)
def test_an_off_is_read_whatever_its_line_ends(tmp_path, text):
    assert area(write(tmp_path, "a.off", text)) == pytest.approx(AREA)


def test_faces_in_one_line_may_follow_coloured_vertices(tmp_path):
    text = off_with("C", RED, faces=[" ".join(FACES)])
    assert area(write(tmp_path, "a.off", text)) == pytest.approx(AREA)


def test_coloured_vertices_in_one_line_are_refused(tmp_path):
    head, body = off_with("C", RED).split("\n8 6 0\n")
    path = write(tmp_path, "a.off", f"{head}\n8 6 0\n{body.replace(chr(10), ' ')}")
    with pytest.raises(InputError, match="coloured vertices"):
        read_cloud(path)


@pytest.mark.parametrize(
    ("kinds", "columns"),
    [
        ("CN", (NORMALS, RED)),
        ("NC", (NORMALS, RED)),
        ("NC", (RED, NORMALS)),
        ("STCN", (NORMALS, RED, NORMALS[:, :2])),
        ("NCST", (RED, NORMALS, NORMALS[:, :2])),
    ],
)
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
    names = np.roll(("x", "y", "z", "px", "py", "pz"), shift)
    table = rows(np.roll(np.hstack([VERTICES, VERTICES + 50]), shift, axis=1))
    for name, content in (
        ("a.ply", HEADER.format(8, properties(*names)) + table),
        (
            "a.pcd",
            f"FIELDS {' '.join(names)}\nSIZE 4 4 4 4 4 4\nTYPE F F F F F F\nWIDTH 8\nHEIGHT 1\n"
            f"DATA ascii\n{table}",
        ),
    ):
        assert np.allclose(read_cloud(write(tmp_path, name, content)).points, VERTICES)


def ply_faces(name, element="face"):
    return f"element {element} 6\nproperty list uchar int {name}\n"


@pytest.mark.parametrize("ends", [" ", "\n"])
def test_a_text_ply_is_read_whatever_its_line_ends(tmp_path, ends):
    head = HEADER.format(8, properties("x", "y", "z") + ply_faces("vertex_indices"))
    words = f"{rows(VERTICES)}{' '.join(FACES)}".split()
    text = head + ends.join(words)
    assert area(write(tmp_path, "a.ply", text)) == pytest.approx(AREA)
    for left, reason in ((20, "6 vertices, but the header announces 8"), (40, "3 faces, but")):
        with pytest.raises(InputError, match=reason):
            read_cloud(write(tmp_path, "b.ply", head + ends.join(words[:left])))


def test_a_list_that_stands_alone_is_the_corners_of_faces(tmp_path):
    head = HEADER.format(8, properties("x", "y", "z") + ply_faces("vertex_indexes"))
    path = write(tmp_path, "a.ply", head + rows(VERTICES) + "\n".join(FACES))
    assert area(path) == pytest.approx(AREA)


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_the_first_of_two_properties_with_one_name_counts(tmp_path, encoding):
    head = HEADER.format(8, properties("x", "y", "z", "x")).replace("ascii", encoding)
    table = np.hstack([VERTICES, VERTICES[:, :1] + 9])
    body = rows(table).encode() if encoding == "ascii" else table.astype("<f4").tobytes()
    cloud = read_cloud(write(tmp_path, "a.ply", head.encode() + body))
    assert np.allclose(cloud.points, VERTICES)


def test_strips_of_a_ply_are_unrolled_the_same_way_round(tmp_path):
    places = "0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 2 0\n1 2 0\n"
    strips = "element tristrips 2\nproperty list int int vertex_indices\n"
    head = HEADER.format(6, properties("x", "y", "z") + strips)
    text = head + places + "9 0 1 2 3 3 -1 2 2 3\n4 2 3 4 5\n"
    mesh = read_mesh(write(tmp_path, "a.ply", text))
    assert len(mesh.faces) == 4
    assert np.allclose(face_normals(mesh.vertices[mesh.faces])[0], [0, 0, 1])


def test_faces_go_before_strips(tmp_path):
    extra = b"element tristrips 0\nproperty list int int vertex_indices\nend_header"
    content = ply("<").replace(b"end_header", extra)
    assert area(write(tmp_path, "a.ply", content)) == pytest.approx(AREA)


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


# --- OBJ


def test_a_comment_of_an_obj_ends_with_its_line(tmp_path):
    triangle = "# C:\\models\\\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    assert area(write(tmp_path, "a.obj", triangle)) == pytest.approx(0.5)
    continued = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 \\\n 2 3\n"
    assert area(write(tmp_path, "b.obj", continued)) == pytest.approx(0.5)


SQUARES = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 9 9 9\nf 1 2 3 4\n"


def test_an_obj_may_end_without_a_line_s_end_and_with_an_unused_vertex(tmp_path):
    assert area(write(tmp_path, "a.obj", SQUARES + "f 4 3 2 1")) == pytest.approx(2)


@pytest.mark.parametrize("last", ["f 4 3 2", "f 4 3/", "v 8 8 8", "g next"])
def test_an_obj_whose_last_line_is_not_whole_is_truncated(tmp_path, last):
    with pytest.raises(InputError, match="truncated"):
        read_mesh(write(tmp_path, "a.obj", SQUARES + last))


@pytest.mark.parametrize("last", ["# the end", "# 6 vertices", "s off", "l 1 9", "p 1"])
def test_an_obj_may_end_in_a_whole_line_without_an_end(tmp_path, last):
    assert len(read_mesh(write(tmp_path, "a.obj", SQUARES + last)).vertices) == 5


@pytest.mark.parametrize("head", ["", "o cloud\n", "vn 0 0 1\n"])
def test_the_points_of_an_obj_may_end_without_a_line_s_end(tmp_path, head):
    text = f"{head}v 0 0 0\nv 1 0 0\nv 0 1 0"
    assert read_cloud(write(tmp_path, "a.obj", text)).points.shape == (3, 3)


@pytest.mark.parametrize(
    ("more", "color"),
    [("1 0.5 0.25 0", (0.5, 0.25, 0)), ("0.5 0.25 0 1", (0.5, 0.25, 0)), ("1 1 1 1", (1, 1, 1))],
)
def test_seven_numbers_of_an_obj_are_weighted_or_transparent(tmp_path, more, color):
    text = "".join(f"v {i} {i * i} 0 {more}\n" for i in range(9))
    cloud = read_cloud(write(tmp_path, "a.obj", text), ("x", "y", "z", "r", "g", "b"))
    assert np.allclose(cloud.points[:, 3:], color)


# --- STL


@pytest.mark.parametrize(
    "name", [b"multi-facet gem", b"facet", b"vertex of a cube", b"a vertex 1 2 3"]
)
def test_the_name_of_a_text_stl_is_no_part_of_it(tmp_path, name):
    text = stl_text().replace(b"solid box", b"solid " + name)
    for content in (text, text.replace(b"\n", b"\r"), text.replace(b"\n", b"\r\n")):
        assert area(write(tmp_path, "a.stl", content)) == pytest.approx(AREA)


# --- text


@pytest.mark.parametrize("mark", [";", "\t"])
def test_decimal_commas_may_stand_in_quotes(tmp_path, mark):
    lines = ['"x";"y";"z"', '"0,50";"1,00";"0,25"', '"1,50";"1,00";"0,25"']
    text = "\n".join(lines).replace(";", mark)
    assert np.allclose(read_cloud(write(tmp_path, "a.csv", text)).points[-1], [1.5, 1, 0.25])


@pytest.mark.parametrize("first", ["0,0,0,", "0,0,0,1"])
def test_an_empty_cell_counts_only_where_its_channel_is_wanted(tmp_path, first):
    text = f"x,y,z,i\n{first}\n1,0,0,1\n1,1,0,\n0,1,0,\n"
    path = write(tmp_path, "a.csv", text)
    assert np.allclose(read_cloud(path).points, [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    with pytest.raises(InputError, match="has NaN"):
        read_cloud(path, ("x", "y", "z", "intensity"))


def test_an_empty_coordinate_is_refused(tmp_path):
    with pytest.raises(InputError, match="line 3: not all values are numbers"):
        read_cloud(write(tmp_path, "a.csv", "x,y,z,i\n0,0,0,1\n1,0,,1\n1,1,0,1\n"))
