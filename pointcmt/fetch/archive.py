"""Unpacking of archives that nobody vouches for: zip and tar, whole or not at all."""

import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from pointcmt.errors import InputError

MAX_FILES = 2_000_000
MAX_RATIO = 100  # text clouds pack 1 to 6; a bomb 1 to 1,000 and more
FREE_SIZE = 2**30  # small archives may unpack to this much whatever the ratio
CHUNK = 2**20
DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, RuntimeError),  # what their parsers raise on odd bytes
)


class ArchiveError(InputError):
    """The archive itself is at fault: damaged, hostile or another one."""


class Member(NamedTuple):
    """One file of an archive, open for reading."""

    name: str
    content: IO[bytes]


def unpack(archive: Path, target: Path, marker: str = "*") -> int:
    """Unpack a .zip or .tar (plain, gz, bz2, xz) to the folder `target`, which must not exist.

    If all lies in one folder of the archive, the contents of that folder become `target`. What
    macOS adds (`__MACOSX`, `.DS_Store`) is left out. `target` appears when everything is in place;
    on any error nothing is left behind.

    Args:
        archive: the file.
        target: the folder to make; its parents are made too.
        marker: a glob that must match in the folder.

    Returns:
        The number of files.

    Raises:
        ArchiveError: the archive is damaged, encrypted or of another kind; a member is a link or a
            device, would leave the target or appears twice; it unpacks to more than a hundred
            times its size (and 1 GiB) or 2,000,000 files; nothing in it matches `marker`.
        InputError: the disk is full, `target` exists or cannot be written.
    """
    if target.exists():
        raise InputError(f"{target}: is already there; move it away to unpack {archive} again")
    # Not write_beside: it syncs each file, which takes minutes for 250,000 pictures. The name is
    # fixed, so that what a killed run left is found and removed.
    room = target.with_name(f".{target.name}.unpacking")
    try:
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir(parents=True)
        count = _fill(archive, room)
        folder = _only_folder(room)
        if next(folder.glob(marker), None) is None:
            raise ArchiveError(f"{archive}: holds no {marker}; it is another archive")
        folder.rename(target)
    except InputError:
        raise
    except OSError as error:
        if error.errno is None:  # a decompressor's, not the system's
            raise _damaged(archive, error) from error
        raise InputError(
            f"{archive}: cannot be unpacked to {target} ({error.strerror}); nothing is left of it"
        ) from error
    except DAMAGED as error:
        raise _damaged(archive, error) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return count


def _damaged(archive: Path, error: Exception) -> ArchiveError:
    return ArchiveError(f"{archive}: is damaged ({error}); fetch it again")


def is_archive(path: Path) -> bool:
    """Tell whether a file begins as a zip or a tar, plain or compressed, does."""
    with path.open("rb") as file:
        head = file.read(512)
    packed = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
    return head.startswith(packed) or head[257:262] == b"ustar"


def _fill(archive: Path, room: Path) -> int:
    limit = max(FREE_SIZE, MAX_RATIO * archive.stat().st_size)
    written = count = 0
    for member in _members(archive):
        place = _place(archive, member.name)
        if place is None:
            continue
        count += 1
        if count > MAX_FILES:
            raise ArchiveError(f"{archive}: holds more than {MAX_FILES} files; not unpacked")
        path = room / place
        path.parent.mkdir(parents=True, exist_ok=True)
        written += _copy(archive, member, path, limit - written)
    if count == 0:
        raise ArchiveError(f"{archive}: holds no files")
    return count


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        return _zip_members(archive)
    if not is_archive(archive):
        raise ArchiveError(f"{archive}: is neither a zip nor a tar archive")
    return _tar_members(archive)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        _require_room(archive, sum(info.file_size for info in opened.infolist()))
        for info in opened.infolist():
            if info.is_dir():
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise ArchiveError(_special(archive, info.filename))
            if info.flag_bits & 1:
                raise ArchiveError(f"{archive}: is encrypted; unpack it with its password first")
            with opened.open(info) as content:
                yield Member(info.filename, content)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive) as opened:
        for info in opened:
            if info.isdir():
                continue
            content = opened.extractfile(info) if info.isreg() else None
            if content is None:
                raise ArchiveError(_special(archive, info.name))
            yield Member(info.name, content)


def _special(archive: Path, name: str) -> str:
    return f"{archive}: {name!r} is a link or a device, which no data set needs; not unpacked"


def _require_room(archive: Path, size: int) -> None:
    free = shutil.disk_usage(archive.parent).free
    if size > free and size <= max(FREE_SIZE, MAX_RATIO * archive.stat().st_size):
        raise InputError(
            f"{archive}: unpacks to {size / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free"
        )


def _place(archive: Path, name: str) -> PurePosixPath | None:
    """Return the member's relative path; None for what macOS adds."""
    path = PurePosixPath(name)
    parts = path.parts
    if (
        path.is_absolute()
        or not parts
        or ".." in parts
        or any(character in name for character in "\\:\0")
    ):
        raise ArchiveError(f"{archive}: {name!r} would leave the folder; not unpacked")
    if "__MACOSX" in parts or path.name == ".DS_Store" or path.name.startswith("._"):
        return None
    return path


def _copy(archive: Path, member: Member, path: Path, room: int) -> int:
    """Write one file and return its size; what the archive says of the size is not believed."""
    size = 0
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise ArchiveError(f"{archive}: {member.name!r} appears twice; not unpacked") from error
    with file:
        while chunk := member.content.read(CHUNK):
            size += len(chunk)
            if size > room:
                raise ArchiveError(
                    f"{archive}: unpacks to more than {MAX_RATIO} times its size; not unpacked"
                )
            file.write(chunk)
    return size


def _only_folder(room: Path) -> Path:
    entries = [Path(entry.path) for entry in os.scandir(room)]
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else room
