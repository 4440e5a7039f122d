"""Digests of files."""

import hashlib
from pathlib import Path


def file_digest(path: Path, kind: str = "sha256") -> str:
    """Return a file's digest in hexadecimal digits.

    Args:
        path: the file.
        kind: "sha256", or "md5" where that is what was published.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()
