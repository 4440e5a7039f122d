"""A small valid file of each kind that is read, and ways to damage it."""

import io
import json
from collections.abc import Iterator

import numpy as np
from pypcd4 import Encoding, PointCloud

CLOUD = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
VERTICES = np.array([[x, y, z] for x in (0, 2) for y in (0, 4) for z in (0, 6)], np.float64)
QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)
TRIANGLES = np.concatenate([QUADS[:, [0, 1, 2]], QUADS[:, [0, 2, 3]]])
AREA = 2 * (2 * 4 + 2 * 6 + 4 * 6)  # of the box
PCD = ("ascii", "binary", "binary_compressed")


def rows(array: np.ndarray, separator: str = " ") -> str:
    """One line a row."""
    return "\n".join(separator.join(f"{value:.9g}" for value in row) for row in array) + "\n"


def off() -> bytes:
    """The box as OFF, of quadrilaterals."""
    return f"OFF\n8 6 0\n{rows(VERTICES)}{rows(np.insert(QUADS, 0, 4, axis=1))}".encode()


def obj() -> bytes:
    """The box as OBJ, with texture coordinates and negative indices."""
    faces = "\n".join(f"f {' '.join(f'{i - 8}/1' for i in quad)}" for quad in QUADS)
    vertices = "".join(f"v {line}\n" for line in rows(VERTICES).splitlines())
    return f"mtllib a.mtl\n{vertices}vt 0 0\nusemtl a\n{faces}\n".encode()


def ply_header(encoding: str, faces: int, extra: str = "") -> bytes:
    """The header of a PLY of eight vertices, and of `faces` lists."""
    return (
        f"ply\nformat {encoding} 1.0\ncomment element vertex 99\nelement vertex 8\n"
        f"property float x\nproperty float y\nproperty float z\n{extra}element face {faces}\n"
        "property list uchar int vertex_indices\nend_header\n"
    ).encode()


def ply(order: str) -> bytes:
    """The box as binary PLY; `order` is < or >."""
    name = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    face = np.zeros(6, [("n", "u1"), ("i", f"{order}i4", 4)])
    face["n"], face["i"] = 4, QUADS
    return ply_header(name, 6) + VERTICES.astype(f"{order}f4").tobytes() + face.tobytes()


def ragged_ply() -> bytes:
    """The box as binary PLY, half quadrilaterals and half triangles."""
    body = VERTICES.astype("<f4").tobytes()
    for quad in QUADS[:3]:
        body += b"\4" + quad.astype("<i4").tobytes()
    for triangle in np.concatenate([QUADS[3:, [0, 1, 2]], QUADS[3:, [0, 2, 3]]]):
        body += b"\3" + triangle.astype("<i4").tobytes()
    return ply_header("binary_little_endian", 9) + body


def stl(solid: bytes = b"solid but binary") -> bytes:
    """The box as binary STL; it begins as a text one does."""
    rows_ = np.zeros(12, [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
    rows_["c"] = VERTICES[TRIANGLES]
    return solid.ljust(80) + np.uint32(12).tobytes() + rows_.tobytes()


def stl_text() -> bytes:
    """The box as STL text."""
    facets = "".join(
        "facet normal 0 0 0\nouter loop\n"
        + "".join(f"vertex {' '.join(f'{v:g}' for v in corner)}\n" for corner in face)
        + "endloop\nendfacet\n"
        for face in VERTICES[TRIANGLES]
    )
    return f"solid box\n{facets}endsolid box\n".encode()


def gltf(**changes: object) -> tuple[dict[str, object], bytes]:
    """The description of the box, lifted by 10, and its buffer."""
    data = VERTICES.astype("<f4").tobytes() + TRIANGLES.astype("<u2").tobytes()
    tree: dict[str, object] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": [0, 10, 0]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 96},
            {"buffer": 0, "byteOffset": 96, "byteLength": 72},
        ],
        "buffers": [{"byteLength": len(data)}],
    }
    return tree | changes, data


def glb(tree: dict[str, object], data: bytes) -> bytes:
    """Pack a description and a buffer."""
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = b"".join(
        np.uint32(len(chunk)).tobytes() + kind + chunk
        for kind, chunk in ((b"JSON", text), (b"BIN\0", data))
        if chunk
    )
    return b"glTF" + np.array([2, 12 + len(chunks)], "<u4").tobytes() + chunks


def npy(array: np.ndarray) -> bytes:
    """One array."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    """Compressed arrays."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def pcd(encoding: Encoding) -> bytes:
    """The cloud as another library writes it."""
    stream = io.BytesIO()
    PointCloud.from_xyz_points(CLOUD).save(stream, encoding=encoding)
    return stream.getvalue()


def las(suffix: str) -> bytes:
    """The cloud as LAS or LAZ, with colours."""
    import laspy

    file = laspy.LasData(laspy.LasHeader(point_format=7, version="1.4"))
    file.header.scales = [1e-6] * 3
    file.x, file.y, file.z = CLOUD.T.astype(np.float64)
    file.red = file.green = file.blue = np.full(len(CLOUD), 65535)
    stream = io.BytesIO()
    file.write(stream, do_compress=suffix == ".laz")
    return stream.getvalue()


def examples() -> dict[str, bytes]:
    """A valid file of each kind by its name."""
    return {
        "box.off": off(),
        "box.obj": obj(),
        "text.ply": ply_header("ascii", 6)
        + (rows(VERTICES) + rows(np.insert(QUADS, 0, 4, axis=1))).encode(),
        "little.ply": ply("<"),
        "big.ply": ply(">"),
        "ragged.ply": ragged_ply(),
        "binary.stl": stl(),
        "text.stl": stl_text(),
        "box.glb": glb(*gltf()),
        "cloud.npy": npy(CLOUD),
        "cloud.npz": npz(points=CLOUD),
        **{f"{name}.pcd": pcd(Encoding(name)) for name in PCD},
        "cloud.xyz": rows(CLOUD).encode(),
        "cloud.csv": b"x,y,z\n" + rows(CLOUD, ",").encode(),
        "cloud.pts": f"{len(CLOUD)}\n{rows(CLOUD)}".encode(),
        "cloud.bin": np.insert(CLOUD, 3, 0.5, axis=1).tobytes(),
        "cloud.las": las(".las"),
        "cloud.laz": las(".laz"),
    }


def damaged(whole: bytes, rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """Yield `count` damaged versions: cut, with other bytes, doubled, or with larger numbers."""
    for turn in range(count):
        raw = bytearray(whole)
        if turn % 4 == 0:
            del raw[int(rng.integers(len(raw))) :]
        elif turn % 4 == 1:
            start, end = np.sort(rng.integers(0, len(raw), 2))
            raw[end:end] = raw[start:end]
        elif turn % 4 == 2:
            digits = [i for i, byte in enumerate(raw[:2000]) if 48 <= byte < 58] or [0]
            place = digits[int(rng.integers(len(digits)))]
            raw[place : place + 1] = b"9" * int(rng.integers(2, 12))
        for place in rng.integers(0, max(len(raw), 1), int(rng.integers(0, 5))):
            raw[place : place + 1] = rng.bytes(1)
        yield bytes(raw)
