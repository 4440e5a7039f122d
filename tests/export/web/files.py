"""Files of every format that the page reads, good and wrong ones."""

import gzip
from collections.abc import Callable
from pathlib import Path

import lzf
import numpy as np
from numpy.typing import NDArray

from pointcmt.geometry import Mesh
from pointcmt_export.formats import web

MESH: Mesh = web.EXAMPLES["chair"](np.random.default_rng(4)).mesh
CLOUD: NDArray[np.float32] = np.random.default_rng(5).normal(size=(1500, 3)).astype("<f4")
PCD = (
    "VERSION .7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F U\nCOUNT 1 1 1 1\nWIDTH 1500\n"
    "HEIGHT 1\nPOINTS 1500\nDATA {}\n"
)


def rows(values: NDArray[np.floating], start: str = "", mark: str = " ") -> str:
    return "".join(start + mark.join(map(repr, row)) + "\n" for row in values.tolist())


def faces(start: str, first: int = 0) -> str:
    return "".join(f"{start} {a} {b} {c}\n" for a, b, c in (MESH.faces + first).tolist())


def off() -> bytes:
    head = f"OFF\n{len(MESH.vertices)} {len(MESH.faces)} 0\n"
    return (head + rows(MESH.vertices) + faces("3")).encode()


def normals() -> bytes:
    head = f"NOFF\n{len(MESH.vertices)} {len(MESH.faces)} 0\n"
    return (head + rows(np.hstack([MESH.vertices, MESH.vertices])) + faces("3")).encode()


def concave() -> bytes:
    """A star of 22 corners, an L of 6 and a square."""
    turns = np.linspace(0, 2 * np.pi, 22, endpoint=False)
    reach = np.where(np.arange(22) % 2, 1.0, 0.3)
    star = np.stack([reach * np.cos(turns), reach * np.sin(turns), 0.1 * np.cos(turns)], axis=1)
    ell = np.array([(0, 0, 1), (2, 0, 1), (2, 2, 1), (1, 2, 1), (1, 1, 1), (0, 1, 1)], float)
    polygons = f"22 {' '.join(map(str, range(22)))}\n6 25 26 27 22 23 24\n4 0 5 10 15\n"
    return ("OFF\n28 3 0\n" + rows(np.concatenate([star, ell])) + polygons).encode()


def stl() -> bytes:
    record = np.zeros(len(MESH.faces), [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
    record["c"] = MESH.vertices[MESH.faces]
    return bytes(80) + np.uint32(len(record)).tobytes() + record.tobytes()


def stl_text() -> bytes:
    loops = (
        f"facet normal 0 0 1\nouter loop\n{rows(t, 'vertex ')}endloop\nendfacet\n"
        for t in MESH.vertices[MESH.faces]
    )
    return f"solid x\n{''.join(loops)}endsolid x\n".encode()


def ply(form: str, kind: str) -> bytes:
    head = (
        f"ply\nformat {form} 1.0\nelement vertex {len(MESH.vertices)}\nproperty {kind} x\n"
        f"property {kind} y\nproperty {kind} z\nelement face {len(MESH.faces)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    if form == "ascii":
        return (head + rows(MESH.vertices) + faces("3")).encode()
    order = "<" if "little" in form else ">"
    record = np.zeros(len(MESH.faces), [("n", "u1"), ("i", f"{order}i4", 3)])
    record["n"], record["i"] = 3, MESH.faces
    return head.encode() + MESH.vertices.astype(f"{order}f4").tobytes() + record.tobytes()


def pcd(data: str) -> bytes:
    table = np.zeros((1500, 4), "<f4")
    table[:, :3] = CLOUD
    table[7, :3] = np.nan
    head = PCD.format(data).encode()
    if data == "ascii":
        return head + rows(table).encode()
    if data == "binary":
        return head + table.tobytes()
    body = np.ascontiguousarray(table.T).tobytes()
    packed = lzf.compress(body, 2 * len(body))
    return head + np.array([len(packed), len(body)], "<u4").tobytes() + packed


GOOD: dict[str, Callable[[], bytes]] = {
    "mesh.off": off,
    "concave.off": concave,
    "line.off": lambda: off().replace(b"\n", b" "),
    "normals.off": lambda: normals().replace(b"\n", b" "),
    "wide.off": lambda: off().decode().encode("utf-16"),
    "wide.ply": lambda: ply("ascii", "double").decode().encode("utf-16"),
    "wide.stl": lambda: stl_text().decode().encode("utf-16"),
    "wide.pcd": lambda: ("\ufeff" + pcd("ascii").decode()).encode("utf-16-be"),
    "mesh.obj": lambda: (rows(MESH.vertices, "v ") + faces("f", 1)).encode(),
    "back.obj": lambda: (rows(MESH.vertices, "v ") + faces("f", -len(MESH.vertices))).encode(),
    "mesh.stl": stl,
    "text.stl": stl_text,
    "mesh.ply": lambda: ply("binary_little_endian", "float"),
    "big.ply": lambda: ply("binary_big_endian", "float"),
    "text.ply": lambda: ply("ascii", "double"),
    "text.pcd": lambda: pcd("ascii"),
    "cloud.pcd": lambda: pcd("binary"),
    "packed.pcd": lambda: pcd("binary_compressed"),
    "cloud.xyz": lambda: rows(CLOUD[:300]).encode(),
    "far.xyz": lambda: rows(CLOUD.astype(float) + 5e6).encode(),
    "near.xyz": lambda: rows(CLOUD[:300].astype(float) + 2e4).encode(),  # just far enough to move
    "named.csv": lambda: ("i,z,y,x\n" + rows(CLOUD[:400, [0, 2, 1, 0]], mark=",")).encode(),
    "comma.txt": lambda: rows(CLOUD.astype(float).round(5), mark=";").replace(".", ",").encode(),
    "counted.pts": lambda: ("1500\n" + rows(CLOUD)).encode(),
}
WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut.off": (lambda: off()[:900], "the file is truncated"),
    "coloured.off": (lambda: b"COFF 3 1 0 " + b"1 2 3 " * 9, "not each in one line"),
    "pointer.off": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "found.obj": (lambda: b"<!doctype html>\n<p>not found\n", "a web page"),
    "marked.off": (lambda: b"\xef\xbb\xbf<HTML>\n<p>sign in\n", "a web page"),
    "gzip.ply": (lambda: gzip.compress(ply("ascii", "double")), "compressed with gzip"),
    "zip.pcd": (lambda: b"PK\x03\x04" + bytes(range(1, 96)), "a ZIP archive"),
    "cut.stl": (lambda: stl()[:-20], "the file is truncated"),
    "cut.ply": (lambda: ply("binary_little_endian", "float")[:-30], "the file is truncated"),
    "cut.pcd": (lambda: pcd("binary")[:-300], "the file is truncated"),
    "packed.pcd": (lambda: pcd("binary_compressed")[:-300], "the file is truncated"),
    "index.obj": (lambda: b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "not among the 3"),
    "flat.off": (lambda: b"OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", "no face with an area"),
    "empty.xyz": (lambda: b" \n", "the file is empty"),
    "words.xyz": (lambda: b"hello there\n", "it has no rows of numbers"),
    "hex.xyz": (lambda: rows(CLOUD[:20]).replace(".", "x").encode(), "not all values are numbers"),
    "comma.off": (lambda: b"OFF\n3 1 0\n0,5 1 2\n1 2 3\n3 4 5\n3 0 1 2\n", "'0,5 1 2'"),
    "nan.xyz": (lambda: b"1 2 3\nnan 1 2\n3 4 5\n", "point 1 has NaN"),
    "wide.xyz": (lambda: b"0 0 0\n1 1 1\n2e18 0 0\n", "must be within 1e+18"),
    "same.xyz": (lambda: b"1 2 3\n1 2 3\n", "all 2 points coincide"),
    "letter.docx": (lambda: b"PK", "unknown format; use one of .off"),
}


def write_good(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(GOOD[name]())
    return folder / name


def write_wrong(folder: Path, name: str) -> tuple[Path, str]:
    make, sentence = WRONG[name]
    (folder / name).write_bytes(make())
    return folder / name, sentence
