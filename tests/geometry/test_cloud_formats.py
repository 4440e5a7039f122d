"""Clouds as scanners and programs write them: the points they mean, or the reason why not."""

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud
from pointcmt.geometry.mesh import require_channels
from tests.reference.cloud_files import CLOUD, examples, npy, npz, rows
from tests.reference.variants import LATE_COMMA, PCD_OF_DOUBLES, TEXTS, WRONG_TEXTS

NORMALS = CLOUD / np.linalg.norm(CLOUD, axis=1, keepdims=True)
COLORS = np.random.default_rng(1).integers(0, 256, CLOUD.shape)
CLOUDS = [
    n for n in examples() if n.endswith(("npy", "npz", "pcd", "xyz", "csv", "pts", "bin", "las"))
]
SIX = ("x", "y", "z", "nx", "ny", "nz")
COLORED = ("x", "y", "z", "r", "g", "b")


def read(folder, name, content, channels=("x", "y", "z")):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_cloud(path, channels)


@pytest.mark.parametrize("name", [*CLOUDS, "cloud.laz"])
def test_every_format_gives_the_cloud(tmp_path, name):
    cloud = read(tmp_path, name, examples()[name])
    assert np.allclose(cloud.points, CLOUD, atol=1e-6)
    assert cloud.up == ("z" if name.endswith(("bin", "las", "laz")) else None)


def test_e57_gives_its_scans_joined(tmp_path):
    pye57 = pytest.importorskip("pye57")
    file = pye57.E57(str(tmp_path / "a.e57"), mode="w")
    for half in (CLOUD[:30], CLOUD[30:]):
        file.write_scan_raw(
            {f"cartesian{a}": half[:, i].astype(float) for i, a in enumerate("XYZ")}
        )
    file.close()
    assert np.allclose(read_cloud(tmp_path / "a.e57").points, CLOUD)


# --- text


@pytest.mark.parametrize("content", TEXTS)
@pytest.mark.parametrize("suffix", ["xyz", "csv"])
def test_text_may_be_written_in_many_ways(tmp_path, suffix, content):
    assert np.allclose(read(tmp_path, f"a.{suffix}", content).points, CLOUD)


def test_a_decimal_comma_may_come_late(tmp_path):
    assert np.allclose(read(tmp_path, "a.csv", LATE_COMMA).points[-1], [0.5, 1, 2])


@pytest.mark.parametrize("mark", "\t,;")
def test_a_column_without_values_shifts_no_other(tmp_path, mark):
    text = mark.join("xyzai") + "\n" + rows(CLOUD, mark).replace("\n", f"{mark * 2}0.5\n")
    cloud = read(tmp_path, "a.csv", text, ("x", "y", "z", "intensity"))
    assert np.allclose(cloud.points[:, 3], 0.5)
    with pytest.raises(InputError, match="NaN"):
        read(tmp_path, "a.csv", text, ("x", "y", "z", "a"))


def test_whole_coordinates_are_not_taken_for_the_numbers_of_rows(tmp_path):
    grid = np.array([[5, -1, 2, 7], [3, 0, 2, 7], [9, -4, 2, 7], [1, 1, 1, 7]])
    assert np.array_equal(read(tmp_path, "a.xyz", "x y z\n" + rows(grid)).points, grid[:, :3])


def test_exact_names_go_before_aliases(tmp_path):
    table = np.zeros(60, [(name, "f4") for name in ("x", "y", "z", "px", "Y", "pz")])
    table["x"], table["y"], table["z"] = CLOUD.T
    table["px"] = table["Y"] = table["pz"] = 7
    assert np.allclose(read(tmp_path, "a.npy", npy(table)).points, CLOUD)


def test_columns_are_found_by_their_names_in_any_order(tmp_path):
    table = np.hstack([np.arange(60)[:, None], COLORS, CLOUD[:, ::-1]])
    text = "id,Red,Green,Blue,Z,Y,X\n" + rows(table, ",")
    cloud = read(tmp_path, "a.csv", text, COLORED)
    assert np.allclose(cloud.points[:, :3], CLOUD)
    assert np.allclose(cloud.points[:, 3:], COLORS / 255)


@pytest.mark.parametrize(("count", "end"), [(12, "a11"), (13, "a11, ...")])
def test_a_missing_channel_is_named_beside_the_first_twelve(count, end):
    columns = {f"a{i}": np.ones(4) for i in range(count)}
    with pytest.raises(InputError) as refused:
        require_channels(columns, ("a3", "nx"), "file")
    listed = ", ".join(f"a{i}" for i in range(11))
    assert str(refused.value) == f"file: has no channel nx; it has {listed}, {end}"


@pytest.mark.parametrize("further", [NORMALS, COLORS], ids=["normals", "colours"])
@pytest.mark.parametrize("kind", ["txt", "npy"])
def test_six_columns_without_names_are_told_by_their_values(tmp_path, kind, further):
    table = np.hstack([CLOUD, further]).astype(np.float32)
    content = rows(table) if kind == "txt" else npy(table)
    names, other = (SIX, COLORED) if further is NORMALS else (COLORED, SIX)
    cloud = read(tmp_path, f"a.{kind}", content, names)
    scale = 1 if further is NORMALS else 255
    assert np.allclose(cloud.points[:, 3:] * scale, further, atol=1e-4)
    with pytest.raises(InputError, match="has no channel"):
        read(tmp_path, f"a.{kind}", content, other)


def test_pts_has_intensity_and_colours(tmp_path):
    table = np.hstack([CLOUD, np.full((60, 1), -512), COLORS])
    cloud = read(tmp_path, "a.pts", f"60\n{rows(table)}", ("x", "y", "z", "intensity", "r"))
    assert np.allclose(cloud.points[:, 3], -512)
    assert np.allclose(cloud.points[:, 4], COLORS[:, 0] / 255)
    plain = np.hstack([CLOUD, np.full((60, 1), 9), COLORS])  # might be colours, too
    cloud = read(tmp_path, "a.pts", f"60\n{rows(plain)}", ("x", "y", "z", "intensity", "r"))
    assert np.allclose(cloud.points[:, 3:], np.stack([plain[:, 3], COLORS[:, 0] / 255], axis=1))
    labelled = np.hstack([CLOUD, COLORS, np.full((60, 1), 9)])
    cloud = read(tmp_path, "a.txt", rows(labelled), COLORED)
    assert np.allclose(cloud.points[:, 3:], COLORS / 255)


@pytest.mark.parametrize(("content", "reason"), WRONG_TEXTS)
def test_text_that_makes_no_sense_is_refused_with_the_reason(tmp_path, content, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, "a.csv", content)


# --- arrays


def test_structured_arrays_name_their_channels(tmp_path):
    fields = [("pos", "<f4", 3), ("Normal_X", "<f8"), ("ny", ">f4"), ("nz", "<f2"), ("note", "U3")]
    table = np.zeros(60, fields)
    table["pos"] = CLOUD
    table["Normal_X"], table["ny"], table["nz"] = NORMALS.T
    cloud = read(tmp_path, "a.npy", npy(table), SIX)
    assert np.allclose(cloud.points[:, :3], CLOUD)
    assert np.allclose(cloud.points[:, 3:], NORMALS, atol=1e-3)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", "<i2", ">u8"])
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_any_number_type_and_order(tmp_path, dtype, order):
    array = np.asarray(np.abs(CLOUD * 100).astype(dtype), order=order)
    cloud = read(tmp_path, "a.npy", npy(array))
    assert np.allclose(cloud.points, array.astype(np.float32))


def test_npz_joins_normals_and_colours_to_the_points(tmp_path):
    content = npz(points=CLOUD, normals=NORMALS, colors=COLORS.astype(np.uint8), label=np.array(3))
    cloud = read(tmp_path, "a.npz", content, (*SIX, "r", "g", "b"))
    assert np.allclose(cloud.points, np.hstack([CLOUD, NORMALS, COLORS / 255]), atol=1e-6)


def test_colours_that_are_rounded_above_one_stay_what_they_are(tmp_path):
    colors = np.random.default_rng(2).random((60, 3))
    colors[0] = 1 + 1e-6
    content = npz(points=CLOUD, colors=colors)
    cloud = read(tmp_path, "a.npz", content, COLORED)
    assert np.allclose(cloud.points[:, 3:], colors, atol=1e-5)
    assert cloud.points[:, 3:].max() == 1


# --- PCD


def pcd(fields, sizes, types, body, counts=None, points=60, data="binary", width=60):
    lines = [
        "# .PCD v0.7",
        "VERSION 0.7",
        f"FIELDS {fields}",
        f"SIZE {sizes}",
        f"TYPE {types}",
        f"COUNT {counts}" if counts else "# no COUNT",
        f"WIDTH {width}",
        "HEIGHT 1",
        f"POINTS {points}" if points else "# no POINTS",
        f"DATA {data}",
    ]
    return "\n".join(lines).encode() + b"\n" + body


def padded():
    """Rows of 3 bytes, x, 4 bytes, y, z and 20 bytes."""
    fields = [("a", "V3"), ("x", "<f4"), ("b", "V4"), ("y", "<f4"), ("z", "<f4"), ("c", "V20")]
    table = np.zeros(60, fields)
    table["x"], table["y"], table["z"] = CLOUD.T
    return table.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        pcd("x y z", "4 4 4", "f f f", CLOUD.tobytes(), "1 1 1"),
        pcd("x y z", "4 4 4", "F F F", CLOUD.tobytes(), points=None),
        pcd("x y z", "4 4 4", "F F F", rows(CLOUD).encode(), data="ascii"),
        pcd("x y z", "4 4 4", "F F F", rows(CLOUD).encode(), data="ascii")
        .decode()
        .encode("utf-16"),
        b"\xef\xbb\xbf" + pcd("x y z", "4 4 4", "F F F", CLOUD.tobytes()),
        pcd("x y z", "4 4 4", "F F F", CLOUD.tobytes() + b"more", "1 1 1"),
        pcd("x y z _ a", "4 4 4 1 4", "F F F U U", CLOUD.tobytes(), "1 1 1 0 0"),
        pcd(
            "_ x _ y z f",
            "1 4 2 4 4 4",
            "U F U F F F",
            padded(),
            "3 1 2 1 1 5",
        ),
    ],
)  # fmt: skip
def test_pcd_headers_as_drivers_write_them(tmp_path, content):
    assert np.allclose(read(tmp_path, "a.pcd", content).points, CLOUD, atol=1e-6)


@pytest.mark.parametrize("kind", ["F", "U"])
def test_the_packed_colour_of_pcd_is_unpacked(tmp_path, kind):
    packed = (COLORS.astype("<u4") * np.array([65536, 256, 1], "<u4")).sum(axis=1, dtype="<u4")
    body = np.rec.fromarrays([*CLOUD.T, packed]).tobytes()
    content = pcd("x y z rgb", "4 4 4 4", f"F F F {kind}", body)
    assert np.allclose(read(tmp_path, "a.pcd", content, COLORED).points[:, 3:] * 255, COLORS)


@pytest.mark.parametrize("data", ["ascii", "binary"])
def test_the_packed_colour_of_pcd_may_be_a_whole_number_called_a_float(tmp_path, data):
    packed = (COLORS @ [65536, 256, 1]).astype("<f4")
    table = np.column_stack([CLOUD, packed])
    body = rows(table).encode() if data == "ascii" else table.tobytes()
    content = pcd("x y z rgb", "4 4 4 4", "F F F F", body, data=data)
    assert np.allclose(read(tmp_path, "a.pcd", content, COLORED).points[:, 3:] * 255, COLORS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pcd("x y z", "4 4 4", "F F F", CLOUD.tobytes()[:-1]), "59 points.* announces 60"),
        (PCD_OF_DOUBLES, "24 bytes each, but its header announces 12"),
        (pcd("x y z", "4 4", "F F F", CLOUD.tobytes()), "not as many of SIZE"),
        (pcd("x y z", "4 4 3", "F F F", CLOUD.tobytes()), "type F and 3 bytes"),
        (pcd("x y z", "4 4 4", "F F F", CLOUD.tobytes(), points="many"), "line POINTS"),
        (pcd("x y z", "4 4 4", "F F F", b"", data="zipped"), "DATA is 'zipped'"),
        (pcd("x y z", "4 4 4", "F F F", b"", "0 0 0"), "points of no bytes"),
    ],
)
def test_a_wrong_pcd_is_refused_with_the_reason(tmp_path, content, reason):
    with pytest.raises(InputError, match=reason):
        read(tmp_path, "a.pcd", content)


# --- scans


@pytest.mark.parametrize("intensity", [0, 0.5, 7, 60000])
def test_intensities_of_a_scan_are_fractions_or_whole_numbers(tmp_path, intensity):
    scan = np.insert(np.abs(CLOUD), 3, intensity, axis=1).tobytes()
    cloud = read(tmp_path, "a.bin", scan, ("x", "y", "z", "intensity"))
    assert np.allclose(cloud.points[:, 3], intensity)
    assert np.allclose(cloud.points[:, :3], np.abs(CLOUD))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.bin", CLOUD.tobytes()[:-4], "16 a point"),
        ("a.bin", np.full((60, 4), 1e7, np.float32).tobytes(), "no scan as KITTI"),
        ("a.bin", np.random.default_rng(0).random((99, 4)).tobytes(), "no scan as KITTI"),
        ("a.bin", np.abs(CLOUD).tobytes(), "no scan as KITTI"),
        ("a.bin", (np.abs(CLOUD) / 9).tobytes(), "no scan as KITTI"),
        ("a.bin", np.abs(CLOUD * 99).round().tobytes(), "no scan as KITTI"),
        ("a.bin", b"CCB2" + CLOUD.tobytes(), "CloudCompare's own format"),
        ("a.las", examples()["cloud.las"][:-40], "58 points.* announces 60"),
        ("a.laz", examples()["cloud.laz"][:-40], "damaged or cut"),
        ("a.las", b"LASF", "no LAS file"),
        ("a.e57", b"ASTM-E57" + bytes(60), "damaged or cut"),
    ],
)
def test_a_cut_or_wrong_scan_is_refused_with_the_reason(tmp_path, name, content, reason):
    if name.endswith("e57"):
        pytest.importorskip("pye57")
    with pytest.raises(InputError, match=reason):
        read(tmp_path, name, content)
