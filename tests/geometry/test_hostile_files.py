"""Damaged and hostile files: a sound cloud or one sentence, in memory that follows from size."""

import time
import tracemalloc

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import read_cloud
from pointcmt.geometry.formats import READERS, parse
from tests.reference.cloud_files import (
    CLOUD,
    damaged,
    examples,
    glb,
    gltf,
    npy,
    npz,
    ply_header,
    rows,
    stl,
)
from tests.reference.variants import MISNAMED, properties
from tests.reference.variants import PLY as PLY_TEXT

MIB = 1024**2
LIBRARIES = ("Error:", "Traceback", "errno", "object at 0x", "codec can't", "\n")


@pytest.mark.parametrize("name", [name for name in examples() if name != "cloud.laz"])
@pytest.mark.filterwarnings("error")
def test_damaged_files_give_a_sound_cloud_or_one_sentence(tmp_path, name):
    path, messages = tmp_path / name, []
    for raw in damaged(examples()[name], np.random.default_rng(1), 24):
        path.write_bytes(raw)
        try:
            cloud = read_cloud(path, points=32).points
        except InputError as error:
            messages.append(str(error))
        else:
            assert cloud.shape == (32, 3)
            assert np.isfinite(cloud).all()
    assert len(messages) > 2
    for message in messages:
        assert str(path) in message
        assert not any(word in message for word in LIBRARIES)


@pytest.mark.parametrize("suffix", ["off", "obj", "ply", "stl", "glb", "pcd", "npy", "xyz"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 123\n", "git lfs pull"),
        (
            b"\n<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>\n",
            "a web page",
        ),
        (b"\xef\xbb\xbf<HTML>\n<body>Sign in</body>\n</HTML>\n", "a web page"),
        (b"\x1f\x8b\x08\x00" + bytes(range(1, 96)), "compressed with gzip"),
        (b"PK\x03\x04" + bytes(range(1, 96)), "a ZIP archive"),
    ],
)
def test_what_stands_in_place_of_a_file_is_told(tmp_path, suffix, content, told):
    path = tmp_path / f"chair.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_cloud(path)


@pytest.mark.parametrize("name", [*MISNAMED, "box.glb", "cloud.npy", "cloud.las"])
@pytest.mark.parametrize("suffix", [".txt", ".obj", ".npz", ".gltf"])
def test_a_file_of_another_format_is_told_by_how_it_begins(tmp_path, name, suffix):
    path = (tmp_path / "chair").with_suffix(suffix)
    path.write_bytes(examples()[name])
    with pytest.raises(InputError, match=rf"begins as a {name[name.index('.') :]} file does"):
        read_cloud(path)


def test_a_damaged_npz_is_not_told_to_be_an_archive(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(points=CLOUD)[:-40])
    with pytest.raises(InputError) as caught:
        read_cloud(path)
    assert "ZIP" not in str(caught.value)


def scene(**changes):
    tree, data = gltf()
    return glb({**tree, **changes}, data)


HUGE = {"componentType": 5126, "count": 300_000_000, "type": "VEC3"}
PLY = ply_header("binary_little_endian", 10**8)
LONG_LIST = ply_header("binary_little_endian", 1).replace(b"list uchar", b"list uint")
PCD = b"VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 100000000\nHEIGHT 1\n"
HOSTILE = {
    "bomb.npz": lambda: npz(points=np.zeros((400_000, 3))),
    "claim.glb": lambda: scene(accessors=[HUGE, HUGE]),
    "many.glb": lambda: scene(nodes=[{"mesh": 0}] * 4000, scenes=[{"nodes": list(range(4000))}]),
    "deep.gltf": lambda: b"[" * 100_000,
    "claim.ply": lambda: PLY + bytes(96),
    "list.ply": lambda: LONG_LIST + bytes(96) + b"\xff\xff\xff\x7f" + bytes(64),
    "claim.pcd": lambda: PCD + b"DATA binary\n" + bytes(64),
    "ascii.pcd": lambda: PCD + b"DATA ascii\n0 0 0\n",
    "claim.stl": lambda: bytes(80) + b"\xff\xff\xff\xff" + bytes(50),
    "claim.off": lambda: b"OFF\n100000000 100000000 0\n0 0 0\n",
    "claim.pts": lambda: b"100000000\n0 0 0\n1 1 1\n",
    "claim.las": lambda: examples()["cloud.las"][:247] + b"\xff" * 7 + bytes(2000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_claims_and_bombs_are_refused_before_they_take_memory(tmp_path, name, monkeypatch):
    monkeypatch.setattr("pointcmt.geometry.formats.source.FREE_BYTES", MIB)
    path = tmp_path / name
    path.write_bytes(HOSTILE[name]())
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=name):
            read_cloud(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * MIB + 24 * path.stat().st_size


SIGNALLING = np.array([0, 0x7F800001, 0], "<u4")  # a NaN that no cast may touch silently


@pytest.mark.parametrize("name", ["mesh.stl", "mesh.glb"])
@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_refused_like_any_other_and_warns_nobody(tmp_path, name):
    if name == "mesh.stl":
        raw = stl()
        raw = raw[:96] + SIGNALLING.tobytes() + raw[108:]
    else:
        tree, data = gltf()
        raw = glb(tree, SIGNALLING.tobytes() + data[12:])
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(InputError, match="NaN or infinite"):
        read_cloud(tmp_path / name)


def test_what_takes_more_memory_than_there_is_is_told_so(tmp_path, monkeypatch):
    def greedy(_):
        raise MemoryError

    monkeypatch.setitem(READERS, ".off", greedy)
    (tmp_path / "a.off").write_bytes(b"OFF")
    with pytest.raises(InputError, match="more memory to read than there is"):
        read_cloud(tmp_path / "a.off")


def test_time_grows_with_the_number_of_materials_and_not_with_its_square(tmp_path):
    def least_seconds(count):
        lines = [f"usemtl m{i}\nv {i} 0 0\nv {i} 1 0\nv {i} 0 1\nf -3 -2 -1" for i in range(count)]
        path = tmp_path / f"{count}.obj"
        path.write_text("\n".join(lines) + "\n")
        return min(seconds(path, count) for _ in range(4))  # the machine may be busy meanwhile

    def seconds(path, count):
        start = time.process_time()
        assert len(parse(path, paint=True).faces) == count
        return time.process_time() - start

    assert least_seconds(8_000) < 40 * max(least_seconds(800), 0.01)


@pytest.mark.parametrize("suffix", ["csv", "npy"])
def test_one_long_row_is_refused_before_its_columns_are_named(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    row = np.ones((1, 40_000), np.float32)
    path.write_bytes(npy(row) if suffix == "npy" else b"1," * row.size)
    with pytest.raises(InputError, match="one row of 40000 values"):
        read_cloud(path)


def test_time_grows_with_the_number_of_empty_cells_and_not_with_its_square(tmp_path):
    def seconds(cells):
        path = tmp_path / "a.csv"
        path.write_text("".join(f"{i},{i * i},1{',' * cells}\n" for i in range(4)))
        start = time.process_time()
        assert read_cloud(path).points.shape == (4, 3)
        return time.process_time() - start

    assert min(seconds(20_000) for _ in range(3)) < 40 * max(seconds(2_000), 0.01)


def test_time_grows_with_the_number_of_properties_and_not_with_its_square(tmp_path):
    def seconds(count):
        path = tmp_path / "a.ply"
        names = properties("x", "y", "z", *(f"a{i}" for i in range(count - 3)))
        path.write_text(PLY_TEXT.format(4, names) + rows(np.eye(4, count)))
        start = time.process_time()
        assert read_cloud(path).points.shape == (4, 3)
        return time.process_time() - start

    assert min(seconds(10_000) for _ in range(3)) < 40 * max(seconds(1_000), 0.01)


@pytest.mark.parametrize("name", ["n" * 300 + ".off", "a\0b.off", "folder.off"])
def test_a_path_that_is_no_file_is_an_input_error(tmp_path, name):
    (tmp_path / "folder.off").mkdir()
    with pytest.raises(InputError, match=r"no such file|cannot be read"):
        read_cloud(tmp_path / name)


def test_an_unknown_or_missing_ending_lists_the_known_ones(tmp_path):
    (tmp_path / "scan").write_bytes(CLOUD.tobytes())
    with pytest.raises(InputError, match=r"unknown format; use one of .*\.off"):
        read_cloud(tmp_path / "scan")
