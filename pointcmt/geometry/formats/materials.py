"""Material libraries (.mtl) of OBJ files, and the pictures beside a mesh."""

import base64
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from pointcmt.geometry.formats.source import Material
from pointcmt.geometry.formats.tokens import lines_of

MAX_PICTURE = 256 * 1024**2
LARGEST_LIBRARY = 64 * 1024**2
MAX_WORDS = 32  # of a line that names a picture


def read_materials(
    mesh: Path, libraries: Sequence[bytes], names: Sequence[bytes]
) -> tuple[list[Material], list[str]]:
    """Return the materials called `names`, and the files that cannot be opened.

    Materials that no library describes are plain.

    Args:
        mesh: the file that names them; only files in its folder or below are opened.
        libraries: the files' names as `mesh` writes them.
        names: what is wanted.
    """
    described: dict[bytes, dict[bytes, bytes]] = {}
    missing: dict[str, None] = {}
    for library in dict.fromkeys(libraries):
        # A line may name one file with blanks in its name, or several.
        found = [read_beside(mesh, library, LARGEST_LIBRARY)]
        if found[0] is None:
            found = [read_beside(mesh, one, LARGEST_LIBRARY) for one in library.split()[:MAX_WORDS]]
        for raw in found:
            if raw is not None:
                _describe(raw, described)
        if None in found:
            missing[library.decode("utf-8", "replace")] = None
    pictures: dict[bytes, bytes | None] = {}  # each is read once, however many materials name it
    for name in names:
        value = described.get(name, {}).get(b"map_kd", b"")
        if value and value not in pictures:
            pictures[value] = _picture(mesh, value)
            if pictures[value] is None:
                missing[value.decode("utf-8", "replace")] = None
    return [_material(name, described.get(name, {}), pictures) for name in names], list(missing)


def read_beside(mesh: Path, name: bytes, most: int = MAX_PICTURE) -> bytes | None:
    """Return the bytes of a file in the folder of `mesh` or below, or None."""
    folder = mesh.parent.resolve()
    try:
        text = name.decode("utf-8", "surrogateescape").replace("\\", "/").strip().strip('"')
        path = (folder / text).resolve()
        if not (path.is_relative_to(folder) and path.is_file() and path.stat().st_size <= most):
            return None
        return path.read_bytes()
    except (OSError, ValueError):
        return None


def read_uri(mesh: Path, uri: str) -> bytes | None:
    """Return the bytes that a URI names, as it stands or percent-encoded; see `read_beside`."""
    found = read_beside(mesh, uri.encode())
    return read_beside(mesh, unquote_to_bytes(uri)) if found is None else found


def from_data_uri(uri: str) -> bytes:
    """Return what a `data:` URI holds, in base 64 or percent-encoded."""
    kind, _, data = uri.partition(",")
    return base64.b64decode(data) if kind.endswith(";base64") else unquote_to_bytes(data)


def _describe(raw: bytes, described: dict[bytes, dict[bytes, bytes]]) -> None:
    own: dict[bytes, bytes] = {}
    for line in lines_of(raw):
        key, _, value = line.strip().replace(b"\t", b" ").partition(b" ")
        if key == b"newmtl":
            own = described.setdefault(value.strip(), {})
        elif key:
            own[key.lower()] = value.strip()


def _material(
    name: bytes, own: dict[bytes, bytes], pictures: dict[bytes, bytes | None]
) -> Material:
    color = _numbers(own.get(b"kd", b""), 3)
    opacity = _numbers(own.get(b"d", b"").removeprefix(b"-halo"), 1)
    clear = _numbers(own.get(b"tr", b""), 1)
    solid = opacity[0] if opacity else 1 - clear[0] if clear else 1.0
    return Material(
        name.decode("utf-8", "replace"),
        (color[0], color[1], color[2]) if color else None,
        min(max(solid, 0.0), 1.0),
        pictures.get(own.get(b"map_kd", b"")),
    )


def _picture(mesh: Path, value: bytes) -> bytes | None:
    """The file of a line `map_Kd -s 1 1 1 name of file.png`: the whole, or what follows options."""
    words = value.split()[:MAX_WORDS]
    for first in range(len(words)):
        found = read_beside(mesh, b" ".join(words[first:]))
        if found is not None:
            return found
        if not words[0].startswith(b"-"):
            break
    return None


def _numbers(value: bytes, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in value.split()[:count]]
    except ValueError:
        return []
    return numbers if len(numbers) == count else []
