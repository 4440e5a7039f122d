"""Meshes as other programs write them: the surface they mean, or the reason why not."""

import base64
import json
from urllib.parse import quote

import numpy as np
import pytest
import trimesh

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud, read_mesh
from pointcmt.geometry.polygons import triangulate
from tests.reference.cloud_files import (
    AREA,
    TRIANGLES,
    VERTICES,
    examples,
    glb,
    gltf,
    obj,
    off,
    ply,
    ply_header,
    rows,
    stl,
    stl_text,
)
from tests.reference.variants import ply_with_ends

L_SHAPE = np.array([[1, 3, 0], [0, 3, 0], [0, 0, 0], [3, 0, 0], [3, 1, 0], [1, 1, 0]])
MESHES = [name for name in examples() if name.endswith((".off", ".obj", ".ply", ".stl", ".glb"))]


def area(mesh):
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def read(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_mesh(path)


@pytest.mark.parametrize("name", MESHES)
def test_every_format_gives_the_box(tmp_path, name):
    mesh = read(tmp_path, name, examples()[name])
    assert area(mesh) == pytest.approx(AREA)
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx([2, 4, 6])


# --- OBJ


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("v ", "v\t", 1),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\nv", "\n   v"),
        lambda text: text.replace("\nv", " # comment\nv").replace("\nf", " # 1 2\nf"),
        lambda text: text.replace("/1", "//"),
        lambda text: text.replace("/1 ", "/1/1 "),
        lambda text: text.replace("f ", "f \\\n"),
        lambda text: "# Vertices: 8\n# Faces: 6\n" + text,
        lambda text: text + "l 1 2\np 1\nf 1 2\n",
        lambda text: text.replace("f ", "f \\\n").encode("utf-16"),
        lambda text: ("\ufeff" + text).encode("utf-16-be"),
    ],
)
def test_an_obj_may_be_written_in_many_ways(tmp_path, change):
    mesh = read(tmp_path, "a.obj", change(obj().decode()))
    assert (len(mesh.vertices), len(mesh.faces)) == (8, 12)
    assert area(mesh) == pytest.approx(AREA)


@pytest.mark.parametrize("face", ["f 1 2 3", "f 1 2 3 4"])
def test_an_obj_may_end_without_a_lines_end(tmp_path, face):
    text = "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\n" + face
    mesh = read(tmp_path, "a.obj", text)
    assert area(mesh) == pytest.approx(2 * (len(face.split()) - 3))


def test_negative_indices_count_from_their_own_line(tmp_path):
    corners = VERTICES[[0, 2, 6, 4, 1, 3, 7, 5]].reshape(2, 4, 3)
    text = "".join(
        f"g part{i}\n" + "".join(f"v {line}\n" for line in rows(part).splitlines())
        + "f -4 -3 -2 -1\n"
        for i, part in enumerate(corners)
    )  # fmt: skip
    mesh = read(tmp_path, "a.obj", text)
    assert sorted(mesh.vertices[mesh.faces[:2]][..., 2].ravel()) == [0] * 6
    assert sorted(mesh.vertices[mesh.faces[2:]][..., 2].ravel()) == [6] * 6


def test_an_obj_with_colours_or_weights_at_its_vertices(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0 1 0 0\nv 1 0 0 1 0 0\nv 0 1 0 1 0 0\nf 1 2 3\n")
    cloud = read_cloud(tmp_path / "a.obj", ("x", "y", "z", "r", "g"), 50)
    assert np.allclose(cloud.points[:, 3:], [1, 0])
    weighted = read(tmp_path, "b.obj", "v 0 0 0 1\nv 1 0 0 1\nv 0 1 0 1\nf 1 2 3\n")
    assert area(weighted) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "not among the 3"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 0\n", "count from 1"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -4\n", "not among the 3"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 x\nf 1 2 3\n", "vertex 2 is '0 1 x'"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 a\n", "'a' is not a whole number"),
        ("# 9 vertices\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "announces 9"),
        ("v 0 0 0\nv 1 0 0\nv 0 1", "truncated"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2", "truncated"),
        ("g a\nv 0 0 0\nv 1 0 0\nv 0 1 0", "truncated"),
        ("hello\n", "no line `v x y z`"),
    ],
)
def test_a_wrong_or_cut_obj_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, "a.obj", text)


# --- concave polygons


@pytest.mark.parametrize("start", range(6))
@pytest.mark.parametrize("kind", ["off", "obj", "ply"])
def test_a_concave_polygon_keeps_its_area(tmp_path, kind, start):
    corners = rows(np.roll(L_SHAPE, start, axis=0))
    header = ply_header("ascii", 1).replace(b"vertex 8", b"vertex 6").decode()
    content = {
        "off": f"OFF\n6 1 0\n{corners}6 0 1 2 3 4 5\n",
        "obj": corners.replace("\n", "\nv ").join(("v ", ""))[:-2] + "f 1 2 3 4 5 6\n",
        "ply": f"{header}{corners}6 0 1 2 3 4 5\n",
    }[kind]
    assert area(read(tmp_path, f"a.{kind}", content)) == pytest.approx(5)


def test_triangles_of_any_simple_polygon_cover_it_once():
    rng = np.random.default_rng(0)
    for size in (4, 5, 9, 40):
        angle = np.sort(rng.random(size)) * 2 * np.pi
        radius = rng.uniform(0.2, 1, size)
        flat = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        if np.diff(angle, append=angle[0] + 2 * np.pi).max() > np.pi:
            continue  # not star-shaped about the origin
        after = np.roll(flat, -1, axis=0)
        shoelace = (flat[:, 0] * after[:, 1] - flat[:, 1] * after[:, 0]).sum() / 2
        turned = np.insert(flat, 2, 0.3, axis=1) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
        triangles, owner = triangulate(turned, np.array([size]), np.arange(size))
        a, b, c = turned[triangles].transpose(1, 0, 2)
        crosses = np.cross(b - a, c - a)
        assert np.linalg.norm(crosses, axis=1).sum() / 2 == pytest.approx(shoelace)
        assert (crosses @ crosses.sum(axis=0) >= -1e-12).all()  # all turned as the polygon
        assert (owner == 0).all()


def test_polygons_keep_their_order_and_small_ones_give_nothing():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    counts = np.array([4, 2, 3, 0, 4])
    indices = np.array([0, 1, 2, 3, 0, 1, 0, 1, 2, 0, 1, 2, 3])
    _, owner = triangulate(vertices, counts, indices)
    assert owner.tolist() == [0, 0, 2, 4, 4]


def test_an_endless_concave_polygon_is_refused():
    angle = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radius = 1 + 0.5 * (np.arange(20_000) % 2)
    star = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)
    with pytest.raises(InputError, match="20000 corners"):
        triangulate(star, np.array([20_000]), np.arange(20_000))


# --- OFF


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("OFF\n", "OFF"),
        lambda text: text.replace("OFF\n", "off\n"),
        lambda text: text.replace("OFF\n", ""),
        lambda text: text.replace("8 6 0", "8 6"),
        lambda text: text.replace("OFF\n", "OFF\n\n# comment\n"),
        lambda text: text.replace("\n4 ", " # comment\n4 "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n0 0 6", " 0 0 6"),
        lambda text: text.replace("\n4", " 4"),
        lambda text: text + "2 0 1\n",
        lambda text: text.replace("4 0 1 3 2", "4 0 1 3 2 255 0 0"),
        lambda text: text.replace("\n", " "),
        lambda text: text.encode("utf-16"),
    ],
)
def test_an_off_may_be_written_in_many_ways(tmp_path, change):
    mesh = read(tmp_path, "a.off", change(off().decode()))
    assert area(mesh) == pytest.approx(AREA)


@pytest.mark.parametrize("share", np.linspace(0.1, 0.97, 24))
def test_a_cut_off_is_refused_as_truncated(tmp_path, share):
    whole = trimesh.creation.icosphere(1).export(file_type="off").encode()
    with pytest.raises(InputError, match=r"truncated|no counts"):
        read(tmp_path, "a.off", whole[: int(share * len(whole))])


# --- PLY


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b"comment", "comment für Müller\ncomment".encode("latin-1")),
        lambda raw: raw.replace(
            b"comment", b"comment announces 64 vertices\nobj_info end\ncomment"
        ),
        lambda raw: raw.replace(b"ply\n", b"ply\r\n", 1).replace(
            b"end_header\n", b"end_header\r\n"
        ),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_a_binary_ply_may_be_written_in_many_ways(tmp_path, change, order):
    assert area(read(tmp_path, "a.ply", change(ply(order)))) == pytest.approx(AREA)


@pytest.mark.parametrize("place", ["vertex", "face"])
def test_a_ply_may_have_lists_and_texture_coordinates_anywhere(tmp_path, place):
    text = ply_header("ascii", 6).decode()
    extra = ("", " 2 7 8")[place == "vertex"]
    vertices = "".join(f"{line} 0.5 0.5{extra}\n" for line in rows(VERTICES).splitlines())
    faces = "".join(
        f"{line}{' 8 0 0 1 0 1 1 0 1' if place == 'face' else ''}\n"
        for line in off().decode().splitlines()[10:]
    )
    if place == "vertex":
        names = "property float s\nproperty float t\nproperty list uchar int seen_by\n"
    else:
        names = "property float u\nproperty float v\n"
        text = text.replace("end_header", "property list uchar float texcoord\nend_header")
    text = text.replace("element face", f"{names}element face")
    assert area(read(tmp_path, "a.ply", text + vertices + faces)) == pytest.approx(AREA)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.75, 0.97])
@pytest.mark.parametrize("name", [n for n in MESHES if n.endswith((".ply", ".stl", ".glb"))])
def test_cut_meshes_are_refused_as_truncated(tmp_path, name, share):
    whole = examples()[name]
    with pytest.raises(InputError, match=r"truncated|no facet|or has 84"):
        read(tmp_path, name, whole[: int(share * len(whole))])


# --- STL


@pytest.mark.parametrize(
    "content",
    [
        stl() + b"end",
        stl(b"solid ") + bytes(7),
        stl(b"\0"),
        stl(b"\xff\xfe"),
        stl(b"\xfe\xff") + b"e",
    ],
)
def test_binary_stl_may_begin_like_text_and_have_bytes_behind_it(tmp_path, content):
    assert area(read(tmp_path, "a.stl", content)) == pytest.approx(AREA)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["text.stl", "text.ply"])
def test_meshes_as_text_may_have_a_mark_of_their_encoding(tmp_path, name, encoding):
    text = stl_text().decode() if name == "text.stl" else ply_with_ends("\n")
    mesh = read(tmp_path, name, text.encode(encoding))
    assert area(mesh) == pytest.approx(AREA)


@pytest.mark.parametrize("order", "<>")
def test_a_binary_ply_may_have_the_mark_of_utf_8(tmp_path, order):
    assert area(read(tmp_path, "a.ply", b"\xef\xbb\xbf" + ply(order))) == pytest.approx(AREA)


def test_text_stl_in_capitals_without_a_name(tmp_path):
    text = stl_text().decode().upper().replace("SOLID BOX", "SOLID")
    assert area(read(tmp_path, "a.stl", text)) == pytest.approx(AREA)


def test_text_stl_without_its_end_is_truncated(tmp_path):
    whole = stl_text()
    with pytest.raises(InputError, match="truncated"):
        read(tmp_path, "a.stl", whole[: whole.rindex(b"endsolid")])


# --- glTF


def test_gltf_takes_its_buffer_from_beside_or_within(tmp_path):
    tree, data = gltf()
    inside = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
    for uri in ("box.bin", inside):
        (tmp_path / "box.bin").write_bytes(data)
        tree["buffers"] = [{"byteLength": len(data), "uri": uri}]
        assert area(read(tmp_path, "a.gltf", json.dumps(tree))) == pytest.approx(AREA)
    assert read_cloud(tmp_path / "a.gltf").up == "y"
    tree["buffers"] = [{"byteLength": len(data), "uri": "../box.bin"}]
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(InputError, match="does not lie beside it"):
        read(inner, "a.gltf", json.dumps(tree))


def test_gltf_places_nodes_below_nodes(tmp_path):
    turned = [0, 0, np.sqrt(0.5), np.sqrt(0.5)]  # 90 degrees about z
    nodes = [{"children": [1], "rotation": turned}, {"mesh": 0, "scale": [3, 1, 1]}]
    mesh = read(tmp_path, "a.glb", glb(*gltf(nodes=nodes)))
    expected = np.stack([-VERTICES[:, 1], 3 * VERTICES[:, 0], VERTICES[:, 2]], axis=1)
    assert np.allclose(mesh.vertices, expected)


@pytest.mark.parametrize("form", ["parts", "matrix"])
def test_a_gltf_node_is_scaled_then_turned_then_moved(tmp_path, form):
    turned = [0, 0, np.sqrt(0.5), np.sqrt(0.5)]  # 90 degrees about z
    node = {"rotation": turned, "scale": [3, 1, 1], "translation": [5, 6, 7]}
    if form == "matrix":  # column by column
        node = {"matrix": [0, 3, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]}
    mesh = read(tmp_path, "a.glb", glb(*gltf(nodes=[{"mesh": 0, **node}])))
    turned = np.stack([-VERTICES[:, 1], 3 * VERTICES[:, 0], VERTICES[:, 2]], axis=1)
    assert np.allclose(mesh.vertices - (5, 6, 7), turned)


def test_the_scene_that_a_gltf_names_is_read(tmp_path):
    nodes = [{"mesh": 0}, {"mesh": 0, "translation": [5, 6, 7]}]
    scenes = {"scene": 1, "scenes": [{"nodes": [0]}, {"nodes": [1]}]}
    mesh = read(tmp_path, "a.glb", glb(*gltf(nodes=nodes, **scenes)))
    assert np.allclose(mesh.vertices - (5, 6, 7), VERTICES)


def test_a_gltf_accessor_may_begin_within_its_view(tmp_path):
    tree, data = gltf()
    tree["accessors"][1] |= {"byteOffset": 6, "count": 33}
    assert np.array_equal(read(tmp_path, "a.glb", glb(tree, data)).faces, TRIANGLES[1:])


def test_normalised_shorts_reach_from_minus_one_to_one(tmp_path):
    tree, _ = gltf(nodes=[{"mesh": 0}])
    data = np.array([[32767, 0, 0], [0, -32767, 0], [0, 0, -32768]], "<i2").tobytes()
    tree["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0}}]}]
    shorts = {"bufferView": 0, "componentType": 5122, "normalized": True, "count": 3}
    tree["accessors"] = [{**shorts, "type": "VEC3"}]
    tree["bufferViews"] = [{"buffer": 0, "byteLength": len(data)}]
    tree["buffers"] = [{"byteLength": len(data)}]
    mesh = read(tmp_path, "a.glb", glb(tree, data))
    assert np.array_equal(mesh.vertices, np.diag([1, -1, -1]))


@pytest.mark.parametrize(("mode", "order"), [(5, [0, 1, 2, 3]), (6, [0, 1, 3, 2])])
def test_gltf_strips_and_fans_are_the_square(tmp_path, mode, order):
    tree, data = gltf()
    tree["meshes"] = [{"primitives": [{"attributes": {"POSITION": 0}, "mode": mode, "indices": 1}]}]
    tree["accessors"][1]["count"] = 4
    data = data[:96] + np.array(order, "<u2").tobytes() + data[104:]
    mesh = read(tmp_path, "a.glb", glb(tree, data))
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    one, other = np.cross(b - a, c - a)
    assert area(mesh) == pytest.approx(24)
    assert one @ other > 0  # both show the same side


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"extensionsRequired": ["KHR_draco_mesh_compression"]}, "requires KHR_draco"),
        ({"extensionsRequired": ["KHR_mesh_quantization", "FOO_bar"]}, "requires FOO_bar"),
        ({"nodes": [{"mesh": 0, "children": [0]}]}, "no tree"),
        ({"nodes": [{"mesh": 7}]}, "damaged"),
        ({"meshes": 5}, "not that of a scene"),
        ({"buffers": [{"byteLength": 10**9}]}, "truncated"),
    ],
)
def test_a_scene_that_makes_no_sense_is_refused(tmp_path, changes, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, "a.glb", glb(*gltf(**changes)))


def test_an_extension_that_is_used_and_not_required_leaves_the_plain_values(tmp_path):
    draco = "KHR_draco_mesh_compression"
    tree, data = gltf(extensionsUsed=[draco, "KHR_materials_unlit"])
    tree["extensionsRequired"] = ["KHR_materials_unlit"]
    tree["meshes"][0]["primitives"][0]["extensions"] = {draco: {"bufferView": 0, "attributes": {}}}
    assert area(read(tmp_path, "a.glb", glb(tree, data))) == pytest.approx(AREA)
    del tree["accessors"][0]["bufferView"]
    with pytest.raises(InputError, match=f"compressed by {draco}"):
        read(tmp_path, "b.glb", glb(tree, data))


@pytest.mark.parametrize("scale", [[-1, 1, 1], [-1, -1, 1], [-1, -2, -3]])
def test_a_mirrored_node_keeps_its_outside_outside(tmp_path, scale):
    plain = read(tmp_path, "a.glb", glb(*gltf()))
    mirrored = read(tmp_path, "b.glb", glb(*gltf(nodes=[{"mesh": 0, "scale": scale}])))

    def volume(mesh):
        corners = mesh.vertices[mesh.faces]
        return np.linalg.det(corners).sum() / 6

    assert volume(mirrored) == pytest.approx(volume(plain) * abs(np.prod(scale)))


def test_a_buffer_in_the_description_may_be_percent_encoded(tmp_path):
    tree, data = gltf()
    tree["buffers"][0]["uri"] = "data:application/octet-stream," + quote(data)
    assert area(read(tmp_path, "a.gltf", json.dumps(tree))) == pytest.approx(AREA)


@pytest.mark.parametrize("kind", ["off", "obj", "ply", "stl", "glb"])
def test_another_library_s_files_give_the_same_surface(tmp_path, kind):
    ball = trimesh.creation.icosphere(2)
    ball.export(tmp_path / f"a.{kind}")
    mesh = read_mesh(tmp_path / f"a.{kind}")
    assert area(mesh) == pytest.approx(ball.area, rel=1e-5)
    assert len(mesh.faces) == len(ball.faces)
