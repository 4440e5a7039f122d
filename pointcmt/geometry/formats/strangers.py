"""What a file holds instead of what its name says, told by its first bytes."""

import re

from pointcmt.geometry.formats.source import Source
from pointcmt.geometry.formats.tokens import as_utf8

HEAD = 4096  # bytes
ZIP = rb"PK\x03\x04"
OTHERS = {
    rb"\s*version https://git-lfs": "it is a pointer of Git LFS; get the file with `git lfs pull`",
    rb"\s*<(?:!doctype|html)": "it is a web page, not the file",
    rb"\x1f\x8b": "it is compressed with gzip; unpack it first",
    ZIP: "it is a ZIP archive; unpack it first",
}
FORMATS = {
    (".off",): rb"(?:\s|#[^\n]*\n)*(?:ST|C|N)*4?n?OFF(?:\s|#[^\n]*\n)*\d+\s+\d+\s",
    (".ply",): rb"ply\s+format\s",
    (".pcd",): rb"(?:\s|#[^\n]*\n)*VERSION\s+\d*\.\d+\s+FIELDS\s",
    (".stl",): rb"\s*solid\b[^\n]*\s+facet\s+normal\s",
    (".glb",): rb"glTF",
    (".npy",): rb"\x93NUMPY",
    (".npz",): ZIP,
    (".las", ".laz"): rb"LASF",
    (".e57",): rb"ASTM-E57",
}


def stranger(source: Source) -> str | None:
    """Return what a file is that does not begin as its name says, or None if it cannot be told."""
    head, suffix = as_utf8(source.raw[:HEAD]), source.path.suffix.lower()
    begun = [names for names, sign in FORMATS.items() if re.match(sign, head, re.IGNORECASE)]
    if any(suffix in names for names in begun):
        return None
    told = [told for sign, told in OTHERS.items() if re.match(sign, head, re.IGNORECASE)]
    told += [f"it begins as a {own[0]} file does; name it so" for own in begun]
    return told[0] if told else None
