import io

import numpy as np
import pytest
import trimesh
from pypcd4 import Encoding, PointCloud

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud, read_mesh, read_points, require_cloud, resample

CLOUD = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
SQUARE = "0 0 0\n2 0 0\n2 2 0\n0 2 0\n4 0 1 2 3\n"


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content)
    return path


def text_of(rows, separator=" "):
    return "\n".join(separator.join(f"{value:.9g}" for value in row) for row in rows) + "\n"


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# --- clouds


@pytest.mark.parametrize("separator", [" ", ",", ";", "\t", ", "])
@pytest.mark.parametrize("suffix", [".xyz", ".txt"])
def test_text_clouds_in_any_separator(tmp_path, suffix, separator):
    path = write(tmp_path / f"a{suffix}", text_of(CLOUD, separator))
    assert np.array_equal(read_points(path), CLOUD)


def test_the_seed_decides_which_points_are_kept(tmp_path):
    path = write(tmp_path / "a.xyz", text_of(CLOUD))
    for seed in (0, 5):
        assert np.array_equal(read_points(path, 20, seed), resample(CLOUD, 20, seed))


def test_coordinates_reach_as_far_as_the_sentence_says():
    assert require_cloud([[0, 0, 0], [1e18, 0, 0]], "a").shape == (2, 3)
    with pytest.raises(InputError, match=r"a coordinate is 1.01e\+18; they must be within 1e\+18"):
        require_cloud([[0, 0, 0], [1.01e18, 0, 0]], "a")


def test_comments_blank_lines_windows_endings_and_further_columns_are_skipped(tmp_path):
    rows = np.hstack([CLOUD, CLOUD])
    body = text_of(rows).replace("\n", "\r\n\r\n")
    path = write(tmp_path / "a.txt", "//X Y Z\r\n# by hand\r\n" + body)
    assert np.array_equal(read_points(path), CLOUD)


def test_a_short_row_names_file_and_line(tmp_path):
    path = write(tmp_path / "cut.txt", "# head\n0,0,0\n1,1,1\n2,2\n3,3,3\n")
    with pytest.raises(InputError, match=r"cut\.txt: .*line 4: 2 values"):
        read_points(path)


def test_a_word_names_file_and_line(tmp_path):
    path = write(tmp_path / "odd.xyz", "0 0 0\n1 one 1\n")
    with pytest.raises(InputError, match=r"odd\.xyz: .*line 2: not all values are numbers"):
        read_points(path)


def test_npy_and_npz(tmp_path):
    np.save(tmp_path / "a.npy", CLOUD.astype(np.float64))
    np.savez_compressed(tmp_path / "one.npz", anything=CLOUD)
    np.savez(tmp_path / "many.npz", points=CLOUD, label=np.array(3))
    for name in ("a.npy", "one.npz", "many.npz"):
        result = read_points(tmp_path / name)
        assert np.array_equal(result, CLOUD)
        assert result.dtype == np.float32


def test_npz_with_unnamed_arrays_lists_them(tmp_path):
    np.savez(tmp_path / "a.npz", first=CLOUD, second=CLOUD)
    with pytest.raises(InputError, match=r"\['first', 'second'\]"):
        read_points(tmp_path / "a.npz")


@pytest.mark.parametrize("encoding", list(Encoding))
def test_pcd_in_every_encoding_with_missing_returns_left_out(tmp_path, encoding):
    path = tmp_path / "a.pcd"
    rows = np.vstack([CLOUD, np.full((3, 3), np.nan, np.float32)])
    PointCloud.from_xyz_points(rows).save(path, encoding=encoding)
    assert np.allclose(read_points(path), CLOUD, atol=1e-6)


def test_pcd_without_z_is_refused(tmp_path):
    path = tmp_path / "a.pcd"
    PointCloud.from_points(CLOUD[:, :2], ("x", "y"), (np.float32,) * 2).save(path)
    with pytest.raises(InputError, match="no channel z; it has x, y"):
        read_points(path)


def test_a_ply_without_faces_is_a_cloud(tmp_path):
    path = write(tmp_path / "a.ply", trimesh.PointCloud(CLOUD).export(file_type="ply"))
    assert np.allclose(read_points(path), CLOUD)
    assert read_points(path, 20).shape == (20, 3)


def test_a_cloud_far_from_the_origin_keeps_its_shape(tmp_path):
    np.save(tmp_path / "utm.npy", CLOUD + np.array([4e5, 5.4e6, 300]))
    result = read_points(tmp_path / "utm.npy")
    assert np.allclose(result, CLOUD - CLOUD.mean(axis=0), atol=1e-5)


# --- meshes


@pytest.mark.parametrize(
    "head",
    [
        "OFF\n4 1 0\n",
        "OFF4 1 0\n",
        "OFF 4 1 0\n",
        "OFF\r\n4 1 0\r\n",
        "OFF\n# comment\n4 1 0\n",
        "OFF\n4 1 0\nend_header\n",
    ],
)
def test_off_headers_as_they_are_found(tmp_path, head):
    mesh = read_mesh(write(tmp_path / "a.off", head + SQUARE))
    assert mesh.vertices.shape == (4, 3)
    assert mesh.faces.shape == (2, 3)
    points = read_points(tmp_path / "a.off", 4000)
    assert np.allclose(points.mean(axis=0), [1, 1, 0], atol=0.06)


@pytest.mark.parametrize("kind", ["off", "obj", "ply", "stl", "glb"])
def test_every_mesh_format_gives_the_surface(tmp_path, kind):
    box = trimesh.creation.box((2, 4, 6))
    path = write(tmp_path / f"a.{kind}", box.export(file_type=kind))
    points = read_points(path, 3000, seed=1)
    assert points.dtype == np.float32
    scaled = np.abs(points) / [1, 2, 3]
    assert np.allclose(scaled.max(axis=1), 1, atol=1e-5)  # every point lies on the box
    assert np.array_equal(points, read_points(path, 3000, seed=1))


def test_the_parts_of_a_scene_are_placed_and_joined(tmp_path):
    box = trimesh.creation.box((1, 1, 1))
    scene = trimesh.Scene([box])
    scene.add_geometry(box, transform=trimesh.transformations.translation_matrix([5, 0, 0]))
    mesh = read_mesh(write(tmp_path / "a.glb", scene.export(file_type="glb")))
    assert np.allclose(mesh.vertices[:, 0].min(), -0.5)
    assert np.allclose(mesh.vertices[:, 0].max(), 5.5)
    assert len(mesh.faces) == 24


def test_a_mesh_without_a_count_gives_2048_points(tmp_path):
    assert read_points(write(tmp_path / "a.off", "OFF\n4 1 0\n" + SQUARE)).shape == (2048, 3)


def test_files_named_by_a_mesh_are_not_opened(tmp_path):
    text = "mtllib ../../secret.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    assert len(read_mesh(write(tmp_path / "a.obj", text)).faces) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("OFF\n4 1 0\n0 0 0\n2 0 0\n", "not a readable .off"),
        ("OFF\n4 1 0\n" + SQUARE.replace("4 0 1 2 3", "3 0 1 9"), r"a\.off"),
        ("OFF\n4 1 0\n" + SQUARE.replace("2 2 0", "2 nan 0"), "vertex 2 has NaN"),
        ("OFF\n4 1 0\n" + SQUARE.replace("4 0 1 2 3", "3 0 0 1"), "no face with an area"),
        ("OFF\n0 0 0\n", "0 points"),
        ("<html>404</html>", "not a readable .off"),
        ("", "empty"),
    ],
)
def test_broken_meshes_are_named(tmp_path, body, message):
    with pytest.raises(InputError, match=message):
        read_points(write(tmp_path / "a.off", body))


# --- bad input of every kind


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", npy_bytes(np.zeros((0, 3))), "0 points"),
        ("a.npy", npy_bytes(np.ones((1, 3))), "coincide"),
        ("a.npy", npy_bytes(np.ones((9, 3))), "coincide"),
        ("a.npy", npy_bytes(np.ones((9, 2))), r"\(9, 2\)"),
        ("a.npy", npy_bytes(np.ones((2, 9, 3))), r"\(2, 9, 3\)"),
        ("a.npy", npy_bytes(np.array(["a", "b"])), "numbers"),
        ("a.npy", npy_bytes(np.eye(3) * 1e30), "within 1e"),
        ("a.npy", npy_bytes(np.array([[0, 0, 0], [0, np.nan, 0]])), "point 1 has NaN"),
        ("a.npy", npy_bytes(np.eye(3) * 1e-60), "too small"),
        ("a.npy", npy_bytes(CLOUD)[:-40], r"not a readable \.npy"),
        ("a.npy", b"", "the file is empty"),
        ("a.npz", b"PK not a zip", r"not a readable \.npz"),
        ("a.pcd", b"# .PCD v.7\nVERSION .7\n", "no line DATA"),
        ("a.pcd", b"DATA ascii\nVERSION .7\n", r"not a readable \.pcd"),
        ("a.txt", b"# none\n", "no rows"),
        ("a.txt", b"\xff\xfe\x00\x01 2 3\n", "no rows"),
        ("a.ply", b"ply\nformat ascii 1.0\n", r"not a readable \.ply"),
        ("a.stl", b"solid nothing\nendsolid\n", r"a\.stl"),
        ("a.glb", b"glTF" + bytes(20), r"not a readable \.glb"),
        ("a.obj", b"v 0 0\n", r"a\.obj"),
        ("a.step", b"ISO-10303-21;", "unknown format"),
    ],
)
def test_unusable_files_are_input_errors_that_name_the_file(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as caught:
        read_points(path)
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.npy: no such file"):
        read_points(tmp_path / "none.npy")


def test_a_header_that_claims_more_than_the_file_is_refused_before_allocation(tmp_path):
    claim = npy_bytes(np.zeros((4, 3), np.float32)).replace(b"(4, 3)", b"(9999999999999, 3)")
    with pytest.raises(InputError, match="not a readable"):
        read_points(write(tmp_path / "a.npy", claim))


def test_the_cloud_is_a_copy_that_outlives_its_file(tmp_path):
    np.save(tmp_path / "a.npy", CLOUD)
    points = read_points(tmp_path / "a.npy")
    assert points.flags.writeable
    assert type(points) is np.ndarray


def pcd(points, count="1 1 1", data="ascii", body="0 0 0\n1 1 1\n"):
    return (
        f"VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT {count}\nWIDTH {points}\n"
        f"HEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points}\nDATA {data}\n{body}"
    )


PLY = "ply\nformat ascii 1.0\nelement vertex {}\nproperty float x\nproperty float y\n"
PLY += "property float z\nend_header\n0 0 0\n1 1 1\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pcd", pcd(3), "2 points, but the header announces 3"),
        ("a.pcd", pcd(10**12), "announces 1000000000000"),
        ("a.pcd", pcd(2, count="999999999 1 1"), "truncated"),
        ("a.pcd", pcd(2, count="999999999 1 1").replace("COUNT", "count"), "truncated"),
        ("a.pcd", pcd(2, count="999999999 1 1", data="binary"), "truncated"),
        ("a.pcd", pcd(2, data="binary"), "1 points, but the header announces 2"),
        ("a.pcd", "# long\n" * 10_000 + pcd(2), "no line DATA"),
        ("a.ply", PLY.format(3), "2 vertices, but the header announces 3"),
        ("a.ply", PLY.format(10**12), "announces 1000000000000"),
        ("a.off", "OFF\n1000000000000 1 0\n" + SQUARE, "not a readable"),
        ("a.stl", bytes(80) + b"\xff" * 4 + bytes(50), r"a\.stl"),
    ],
)
def test_a_header_that_announces_too_much_is_refused(tmp_path, name, content, message):
    with pytest.raises(InputError, match=message):
        read_points(write(tmp_path / name, content))


def test_a_pickle_is_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable"):
        read_points(tmp_path / "a.npy")


def test_a_compression_bomb_is_refused_from_its_table(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", points=np.zeros((1000, 3)))
    monkeypatch.setattr("pointcmt.geometry.formats.source.FREE_BYTES", 1000)
    with pytest.raises(InputError, match="far more than a file of"):
        read_points(tmp_path / "a.npz")


@pytest.mark.parametrize("count", [0, -3])
def test_a_senseless_count_is_refused(tmp_path, count):
    path = write(tmp_path / "a.off", "OFF\n4 1 0\n" + SQUARE)
    with pytest.raises(InputError, match="ask for 1"):
        read_points(path, count)


# --- channels


def test_channels_by_name(tmp_path):
    unit = CLOUD / np.linalg.norm(CLOUD, axis=1, keepdims=True)
    np.save(tmp_path / "a.npy", np.hstack([CLOUD, -unit]))
    cloud = read_cloud(tmp_path / "a.npy", ("x", "y", "z", "nx", "ny", "nz"), 20)
    assert cloud.points.shape == (20, 6)
    assert cloud.channels == ("x", "y", "z", "nx", "ny", "nz")
    along = (cloud.points[:, 3:] * cloud.points[:, :3]).sum(axis=1)
    assert np.allclose(along, -np.linalg.norm(cloud.points[:, :3], axis=1))
    assert cloud.up is None


def test_a_missing_channel_is_named_with_those_there(tmp_path):
    np.save(tmp_path / "a.npy", CLOUD)
    with pytest.raises(InputError, match="no channel nx, ny, nz; it has x, y, z"):
        read_cloud(tmp_path / "a.npy", ("x", "y", "z", "nx", "ny", "nz"))


def test_a_surface_has_the_normals_of_its_faces_and_glb_is_y_up(tmp_path):
    box = trimesh.creation.box((2, 2, 2))
    path = write(tmp_path / "a.glb", box.export(file_type="glb"))
    cloud = read_cloud(path, ("x", "y", "z", "nx", "ny", "nz"), 500)
    assert np.allclose((cloud.points[:, :3] * cloud.points[:, 3:]).sum(axis=1), 1, atol=1e-6)
    assert cloud.up == "y"


@pytest.mark.parametrize("rows", [2, 3, 4, 6])
def test_a_transposed_array_is_refused_with_the_remedy(tmp_path, rows):
    np.save(tmp_path / "a.npy", np.zeros((rows, 1024)))
    with pytest.raises(InputError, match="transpose it"):
        read_cloud(tmp_path / "a.npy")
