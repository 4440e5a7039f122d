"""Rare but sound ways to write each format that the page reads, too, and cut or wrong files."""

import re
from collections.abc import Iterator

import numpy as np

from tests.reference.cloud_files import CLOUD, VERTICES, examples, off, ply, rows, stl_text

CENTRED = VERTICES - VERTICES.mean(axis=0)
NORMALS = CENTRED / np.linalg.norm(CENTRED, axis=1, keepdims=True)
RED = np.tile([255, 0, 0, 255], (8, 1))
FACES = off().decode().splitlines()[10:]
PICKED = [str(i * i + 5) for i in range(len(CLOUD))]  # the numbers of rows that were chosen
PLY = "ply\nformat ascii 1.0\nelement vertex {}\n{}end_header\n"


def comma(text: str) -> str:
    """Numbers with decimal commas."""
    return text.replace(".", ",")


def fortran(text: str) -> str:
    """Numbers with the exponents of Fortran's double precision."""
    return re.sub(r"(\.\d+)", r"\1D+00", text)


def numbered(mark: str, first: int = 1) -> str:
    """The cloud, each row after its number."""
    return rows(np.hstack([np.arange(first, first + len(CLOUD))[:, None], CLOUD]), mark)


def named_rows(mark: str, names: list[str]) -> str:
    """The cloud, each row after its name."""
    lines = rows(CLOUD, mark).splitlines()
    return "".join(f"{name}{mark}{line}\n" for name, line in zip(names, lines, strict=True))


def behind_empty(mark: str, end: str = "") -> str:
    """The cloud, each row behind an empty cell."""
    return "".join(f"{mark}{line}{end}\n" for line in rows(CLOUD, mark).splitlines())


def quoted(table: list[list[str]], mark: str = ",") -> str:
    """A table with every cell in quotes."""
    return "".join(mark.join(f'"{value}"' for value in line) + "\n" for line in table)


TEXTS: list[str | bytes] = [  # of the cloud
    "\ufeff" + rows(CLOUD),
    "x y z\n" + rows(CLOUD),
    "X;Y;Z\r\n" + rows(CLOUD, ";").replace("\n", "\r\n"),
    '"x","y","z"\n' + rows(CLOUD, ","),
    "0,1,2\n" + rows(CLOUD, ","),
    f"{len(CLOUD)}\n" + rows(CLOUD),
    f"//X Y Z\n{len(CLOUD)}\n" + rows(CLOUD),
    "# a scan of mine\n\n" + rows(CLOUD, "\t") + "\n\n",
    rows(CLOUD).replace("\n", " # here\n"),
    rows(CLOUD).replace("\n", " // here\n"),
    rows(CLOUD, ",").replace("\n", ",\n"),
    rows(CLOUD, ", "),
    comma(rows(CLOUD)),
    comma(rows(CLOUD, ";")),
    comma(rows(CLOUD, "\t")),
    comma(rows(CLOUD, "; ")),
    ("\ufeff" + rows(CLOUD)).encode("utf-16-le"),
    "sep=;\nx;y;z\n" + comma(rows(CLOUD, ";")),
    "sep=\t\nx\ty\tz\n" + rows(CLOUD, "\t"),
    '"x";"y";"z"\n' + comma(rows(CLOUD, ";")).replace("0,", ","),
    "# a line\n" * 300 + rows(CLOUD),
    "x;y;z;i\n" + comma(rows(CLOUD, ";")).replace("\n", ";1.5\n"),
    "x;y;z;day\n" + comma(rows(CLOUD, ";")).replace("\n", ";01.02.2024\n"),
    "x,y,z,label\n" + rows(CLOUD, ",").replace("\n", ',"chair, red"\n'),
    "# id x y z\n# ----\n" + numbered(" ", 7),
    "# x y z id\n# id x y z\n" + numbered(" ", 7),
    '"x" "y" "z"\n' + numbered(" "),
    "x y z\n" + "".join(f'"a {line[::-1]}" {line}\n' for line in rows(CLOUD).splitlines()),
    ",0,1,2\n" + numbered(",", 0),
    ",x,y,z\n" + numbered(",", 0),
    *(numbered(mark, first) for mark in (" ", ", ", "\t") for first in (0, 1)),
    "\tx\ty\tz\n" + named_rows("\t", [f"{i / 20:.2f}" for i in range(len(CLOUD))]),
    *(mark.join("xyz") + "\n" + named_rows(mark, PICKED) for mark in " ,"),
    *(mark.join("xyz") + "\n" + named_rows(mark, PICKED[::-1]) for mark in " ,"),
    fortran(rows(CLOUD)),
    "x,y,z,id\n" + fortran(rows(CLOUD, ",")).replace("\n", ",1d2\n"),
    rows(CLOUD, " \t "),
    rows(CLOUD, ",\t"),
    rows(CLOUD).replace(" ", "\t", 1),
    *(rows(CLOUD, mark).replace("\n", f"{mark}{mark}0.5\n") for mark in "\t,;"),
    *(rows(CLOUD, mark).replace("\n", f"{mark}0.5{mark * 2}\n") for mark in "\t,"),
    *(f"a\tx\ty\tz{end}\n" + behind_empty("\t", end) for end in ("", "\ti")),
    "x\ty\tz\tname\n" + rows(CLOUD, "\t").replace("\n", "\tred chair, 2 m; old\n"),
    *(
        head.format("Z", "Y", "X").replace("|", mark) + rows(CLOUD[:, [2, 1, 0, 0]], mark)
        for mark in " \t,;"
        for head in (
            "{} [m]|{} [m]|{} [m]|Intensity\n",
            "{}[m]|{}[m]|{}[m]|Range[m]\n",
            "{}(mm)|{}(mm)|{}(mm)|Angle (deg)\n",
            "# {}_m|{}_m|{}_m|t\n",
        )
    ),
    "Z [m],Y [m],X [m]\n" + rows(CLOUD[:, ::-1], ","),
    "x   y   z (m)\n" + rows(CLOUD),
    '"scalars","Points:0","Points:1","Points:2"\n' + rows(CLOUD[:, [1, 0, 1, 2]], ","),
    "Points_0,Points_1,Points_2,Normals_0\n" + rows(CLOUD[:, [0, 1, 2, 0]], ","),
    "Northing,Easting,Elevation\n" + rows(CLOUD[:, [1, 0, 2]], ","),
    "P;Northing;Easting;Elevation\n" + rows(CLOUD[:, [0, 1, 0, 2]], ";"),
    "px,py,x,y,z\n" + rows(np.hstack([CLOUD[:, :2] * 900, CLOUD]), ","),
    "name,x,y,z\n" + "".join(f"chair,{line}\n" for line in rows(CLOUD, ",").splitlines()),
    *(
        quoted([["x", "y", "z"], *(comma(r).split() for r in rows(CLOUD).splitlines())], mark)
        for mark in ",;\t"
    ),
]
WRONG_TEXTS = [  # and the reasons why they are refused
    (f"70\n{rows(CLOUD)}", "60 points, but the header announces 70"),
    (f"50\n{rows(CLOUD)}", "60 points, but the line above them counts 50"),
    (comma(rows(CLOUD + 1.05, ",")), "decimal points"),
    (rows(CLOUD[:, :2]), "2 values; x y z"),
    (rows(CLOUD) + "1 2\n", "line 61: 2 values"),
    (rows(CLOUD, ",") + "1,,2\n", "line 61: not all values"),
    ("a,b,c,d\n" + rows(np.hstack([CLOUD, CLOUD[:, :1]]), ","), "names a, b, c, d"),
    ("Red,größe,c,d\n" + rows(np.hstack([CLOUD, CLOUD[:, :1]]), ","), "names r, größe, c, d"),
    *(
        (f"{names}\n{rows(CLOUD, ',')}", f"names {names.replace(',', ', ')}, but not x, y and z")
        for names in ("id,x,y", "x,y,label", "r,g,b", "nx,ny,nz")
    ),
    (rows(CLOUD.T), "transpose it"),
    (rows(CLOUD.reshape(1, -1)), "one row of 180 values; a cloud has a row for each point"),
    (rows(CLOUD).replace("0.", "0x"), "line 2: not all values"),
    ("x y z\n" + rows(CLOUD).replace("0.", "0x"), "line 2: not all values"),
    (f"60\na molecule\n{rows(CLOUD)}".replace("\n0", "\nC 0"), "not all values"),
    ("nothing\nto\nread\n", "no rows|values"),
    ("y x z\n" + rows(np.hstack([CLOUD, CLOUD[:, :1]])), "names 3 columns, but its rows"),
    ("id x y z\n" + rows(np.hstack([CLOUD, CLOUD])), "names 4 columns, but its rows have 6"),
    (rows(CLOUD, ",").replace("\n", ";1\n"), "line 1: not all values"),
    ("x,y,z,i\n0,0,0,1\n1,0,,1\n1,1,0,1\n", "line 3: not all values are numbers"),
    *((behind_empty(mark), "line 1: not all values are numbers") for mark in "\t,;"),
    *((rows(CLOUD, mark * 2), "line 1: not all values are numbers") for mark in "\t,;"),
    (f"OFF\n60 0 0\n{rows(CLOUD)}", "it begins as a .off file does"),
    (f"# mine\nCOFF # mine\n60\t0 0\n{rows(CLOUD)}", "it begins as a .off file does"),
    (f"OFF60 0 0\n{rows(CLOUD)}".replace("\n", "\r\n"), "it begins as a .off file does"),
]
PADDED = ["box.off", "box.obj", "text.ply", "text.stl", "ascii.pcd", "cloud.xyz", "cloud.csv"]
MISNAMED = ["box.off", "text.ply", "big.ply", "ascii.pcd", "binary.pcd", "text.stl"]
LATE_COMMA = "0;1;2\n" * 1500 + "0,5;1;2\n"
MISSING = [
    f"x,y,z,i\n0,0,0,{first}\n1,0,0,1\n1,1,0,{none}\n0,1,0,{none}\n"
    for none in ("", "NA", "NULL")
    for first in (none, "1")
]


def off_with(kinds: str, *columns: np.ndarray, faces: list[str] = FACES) -> str:
    """The box as OFF with further columns."""
    return "\n".join([f"{kinds}OFF", "8 6 0", rows(np.hstack([VERTICES, *columns])), *faces, ""])


OFF_LINE_ENDS = {
    "two vertices a line": off_with("", faces=[f"{face} 0 0 0" for face in FACES]).replace(
        "\n0 0 6", " 0 0 6"
    ),
    "wrapped faces": off_with("", faces=[face.replace(" ", "\n", 3) for face in FACES]),
    "counts": off_with("").replace("8 6 0", "8\n6\n0"),
    "two counts": off_with("").replace("8 6 0", "8\n6 0"),
    "one line": off_with("").replace("\n", " ").replace("OFF ", "OFF\n"),
    "faces in one line behind colours": off_with("C", RED, faces=[" ".join(FACES)]),
}
OFF_PREFIXES = [
    ("CN", (NORMALS, RED)),
    ("NC", (NORMALS, RED)),
    ("NC", (RED, NORMALS)),
    ("STCN", (NORMALS, RED, NORMALS[:, :2])),
    ("NCST", (RED, NORMALS, NORMALS[:, :2])),
    ("CST", (RED, NORMALS[:, :2])),
]
OFF_COLOURS = ["0 0 0", "1 1 1", "0", "1", "3 2 1"]
OFF_OF_VERTICES = f"OFF\n8 0 0\n{rows(VERTICES[:7])}"
COLOURS_IN_ONE_LINE = "COFF\n8 6 0\n" + off_with("C", RED).split("0\n", 1)[1].replace("\n", " ")


def off_cut_with_colours(kinds: str, faces: int) -> str:
    """The first faces of a box with colours that may be read as faces."""
    return off_with(kinds, np.tile([3, 2, 1], (8, 1)), faces=FACES[:faces])


def off_of_coloured_faces(colour: str, left: int = 6) -> str:
    """The first faces of a box, each with a colour."""
    return off_with("", faces=[f"{face} {colour}" for face in FACES[:left]])


def properties(*names: str) -> str:
    """Lines of a PLY's header."""
    return "".join(f"property float {name}\n" for name in names)


def _ply_of_faces(name: str) -> str:
    faces = f"element face 6\nproperty list uchar int {name}\n"
    return PLY.format(8, properties("x", "y", "z") + faces)


def ply_with_ends(ends: str, words: int | None = None) -> str:
    """The box as text PLY with other line ends, cut after so many words of its body."""
    body = f"{rows(VERTICES)}{' '.join(FACES)}".split()
    return _ply_of_faces("vertex_indices") + ends.join(body[:words])


def ply_naming_twice(encoding: str) -> bytes:
    """The corners of the box as PLY with two properties x, of which the second is another."""
    head = PLY.format(8, properties("x", "y", "z", "x")).replace("ascii", encoding)
    table = np.hstack([VERTICES, VERTICES[:, :1] + 9])
    return head.encode() + (
        rows(table).encode() if encoding == "ascii" else table.astype("<f4").tobytes()
    )


def with_aliases(shift: int) -> dict[str, str]:
    """The corners of the box beside columns px, py and pz, as PLY and PCD."""
    names = np.roll(("x", "y", "z", "px", "py", "pz"), shift)
    table = rows(np.roll(np.hstack([VERTICES, VERTICES**2]), shift, axis=1))
    fields = f"FIELDS {' '.join(names)}\nSIZE 4 4 4 4 4 4\nTYPE F F F F F F\nWIDTH 8\nHEIGHT 1\n"
    return {
        "a.ply": PLY.format(8, properties(*names)) + table,
        "a.pcd": f"{fields}DATA ascii\n{table}",
    }


LONE_LIST = _ply_of_faces("vertex_indexes") + rows(VERTICES) + "\n".join(FACES)
STRIPS = (
    PLY.format(
        6,
        properties("x", "y", "z") + "element tristrips 2\nproperty list int int vertex_indices\n",
    )
    + "0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 2 0\n1 2 0\n9 0 1 2 3 3 -1 2 2 3\n4 2 3 4 5\n"
)
FACES_AND_STRIPS = ply("<").replace(
    b"end_header", b"element tristrips 0\nproperty list int int vertex_indices\nend_header"
)
PCD_OF_DOUBLES = (
    b"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nWIDTH 60\nHEIGHT 1\nDATA binary\n"
    + np.round(CLOUD).astype("<f8").tobytes()
)
PLY_OF_DOUBLES = (
    PLY.format(8, properties("x", "y", "z")).replace("ascii", "binary_little_endian").encode()
    + VERTICES.astype("<f8").tobytes()
)
UNNAMED = PLY.format(8, properties("x", "Red", *(f"a{i}" for i in range(11)))) + rows(
    np.ones((8, 13))
)

SQUARES = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 9 9 9\nf 1 2 3 4\n"
WHOLE_ENDS = ["# the end", "# 6 vertices", "s off", "l 1 9", "p 1"]
CUT_ENDS = ["f 4 3 2", "f 4 3/", "v 8 8 8", "g next"]
WRONG_OBJS = [  # and the reasons why they are refused
    ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf", "it is truncated"),
    (SQUARES[:-10] + "cstype bspline\ndeg 1 1\nsurf 0 1 0 1 1 2 3 4\nend\n", "curved surfaces"),
    ("v 0 0\nv 1 1\n", "vertex 0 is '0 0', not the numbers expected"),
    ("v 0 0\nv 1 1 1\n", "vertex 0 is '0 0', not the numbers expected"),
]
NO_NUMBERS = {  # as Microsoft's C writes them
    "a.xyz": "0 0 1\n1 0 {}\n1 1 1\n",
    "a.csv": "x,y,z\n0,0,1\n1,0,-{}\n1,1,1\n",
    "a.obj": "v 0 0 1\nv 1 0 {}\nv 1 1 1\n",
    "a.off": "OFF\n3 0 0\n0 0 1\n1 0 {}\n1 1 1\n",
}
MICROSOFTS = ["1.#QNAN", "1.#INF00", "1.#IND000"]
OBJ_POINTS = [f"{head}v 0 0 0\nv 1 0 0\nv 0 1 0" for head in ("", "o cloud\n", "vn 0 0 1\n")]
COMMENT_WITH_BACKSLASH = "# C:\\models\\\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
CONTINUED = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 \\\n 2 3\n"


def obj_of_seven(more: str) -> str:
    """Points of an OBJ with four numbers behind their places."""
    return "".join(f"v {i} {i * i} 0 {more}\n" for i in range(9))


STL_NAMES = [b"multi-facet gem", b"facet", b"vertex of a cube", b"a vertex 1 2 3"]


def named_stl(name: bytes) -> bytes:
    """The box as STL text of that name."""
    return stl_text().replace(b"solid box", b"solid " + name)


def every() -> Iterator[tuple[str, bytes]]:
    """Yield each file of this module, the ending of its name and its bytes."""
    for ending, contents in _contents():
        for content in contents:
            yield ending, content if isinstance(content, bytes) else content.encode()
    for name, content in examples().items():
        yield name[name.index(".") :], content
    for name, text in NO_NUMBERS.items():
        yield from ((name[1:], text.format(word).encode()) for word in MICROSOFTS)
    for name in PADDED:
        yield name[name.index(".") :], examples()[name] + bytes(300)
    for name in MISNAMED:
        for ending in (".txt", ".off", ".ply", ".obj", ".pcd"):
            yield ending, examples()[name]


def _contents() -> Iterator[tuple[str, list[str | bytes]]]:
    wrong: list[str | bytes] = [content for content, _ in WRONG_TEXTS]
    yield ".csv", [*TEXTS, *wrong, *MISSING, LATE_COMMA]
    yield ".xyz", [*TEXTS, *wrong]
    yield (
        ".off",
        [
            *OFF_LINE_ENDS.values(),
            *(off_with(kinds, *columns) for kinds, columns in OFF_PREFIXES),
            *(off_cut_with_colours(kinds, faces) for kinds in ("", "C") for faces in (3, 5)),
            *(off_of_coloured_faces(colour, left) for colour in OFF_COLOURS for left in range(7)),
            OFF_OF_VERTICES,
            COLOURS_IN_ONE_LINE,
        ],
    )
    yield (
        ".ply",
        [
            *(ply_with_ends(ends, words) for ends in " \n" for words in (20, 40, None)),
            *map(ply_naming_twice, ("ascii", "binary_little_endian")),
            *(with_aliases(shift)["a.ply"] for shift in (0, 3)),
            *(LONE_LIST, STRIPS, FACES_AND_STRIPS, UNNAMED, PLY_OF_DOUBLES),
        ],
    )
    yield ".pcd", [*(with_aliases(shift)["a.pcd"] for shift in (0, 3)), PCD_OF_DOUBLES]
    yield (
        ".obj",
        [
            *(SQUARES + last for last in (*WHOLE_ENDS, *CUT_ENDS, "f 4 3 2 1")),
            *OBJ_POINTS,
            *(content for content, _ in WRONG_OBJS),
            *(COMMENT_WITH_BACKSLASH, CONTINUED),
            *map(obj_of_seven, ("1 0.5 0.25 0", "1 1 1 x")),
        ],
    )
    yield ".stl", list(map(named_stl, STL_NAMES))
