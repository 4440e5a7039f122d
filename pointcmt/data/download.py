"""From the name of a data set to its folder: fetch from the first source that works, unpack."""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

from pointcmt.data.archive import ArchiveError, is_archive, unpack
from pointcmt.data.sources import DataArchive, Source
from pointcmt.data.transfer import Progress, SourceError, transfer
from pointcmt.errors import InputError
from pointcmt.files import write_beside

DOWNLOADS = ".downloads"  # unfinished files and what was recorded, under the data root
GIGABYTE = 10**9
CHUNK = 2**20


def _quiet(_done: int, _total: int | None) -> None:
    """Show no progress."""


def download(
    archive: DataArchive,
    root: Path,
    *,
    from_archive: Path | None = None,
    progress: Progress = _quiet,
    say: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Bring a data set to `root / archive.folder`; what is already there is left as it is.

    Sources are tried in order. Bytes that arrived stay under `root/.downloads` until the data set
    is in place, so the same call goes on after an interruption. A file is accepted if it has the
    published digest; where none is published, its sha256 is recorded at the first download and
    required from then on.

    Args:
        archive: one of `ARCHIVES`.
        root: folder of all data sets.
        from_archive: the user's own copy of the archive; nothing is fetched then.
        progress: called with the bytes so far and the bytes in all, or None.
        say: takes lines about what happens.

    Returns:
        The folder.

    Raises:
        InputError: no source gave the file (with the reasons and what to do by hand), the disk
            has too little room, or the archive cannot be unpacked.
    """
    folder = root / archive.folder
    if folder.exists():
        say(f"{folder} is already there")
        return folder
    if from_archive is not None:
        if not from_archive.is_file():
            raise InputError(f"{from_archive}: no such file; give the archive that you downloaded")
        unpack(from_archive, folder, archive.marker)
        return folder
    _require_space(archive, root)
    reasons = []
    for source in archive.sources:
        say(f"fetching {source.url}")
        try:
            _from_source(archive, source, root, progress)
        except SourceError as error:
            say(f"  {error}")
            reasons.append(f"  {source.url}: {error}")
        else:
            for tried in archive.sources:
                _discard(_part(root, tried))
            return folder
    raise InputError(_by_hand(archive, root, reasons))


def _from_source(archive: DataArchive, source: Source, root: Path, progress: Progress) -> None:
    part = _part(root, source)
    limit = _longest(archive, root, part)
    resumed = transfer(source.url, part, limit, progress)
    try:
        _accept(archive, source, root, part)
    except SourceError:
        if not resumed:
            raise
        transfer(source.url, part, limit, progress)  # the pieces did not fit: once more in one
        _accept(archive, source, root, part)


def _accept(archive: DataArchive, source: Source, root: Path, part: Path) -> None:
    """Check, unpack and record `part`; remove it if it is not the file."""
    sha256 = _digest(part, "sha256")
    try:
        if not is_archive(part):
            raise SourceError("what it sends is no archive")
        _require_digest(source, root, part, sha256)
        unpack(part, root / archive.folder, archive.marker)
    except ArchiveError as error:
        _discard(part)
        raise SourceError(str(error).removeprefix(f"{part}: ")) from error
    except SourceError:
        _discard(part)
        raise
    _record(source, root, sha256, part.stat().st_size)


def _require_digest(source: Source, root: Path, part: Path, sha256: str) -> None:
    if source.digest is not None:
        kind, _, expected = source.digest.partition(":")
        found = sha256 if kind == "sha256" else _digest(part, kind)
        if found != expected:
            raise SourceError(f"the file has {kind} {found}, published is {expected}")
        return
    recorded = _recorded(root).get(source.url)
    if recorded is not None and recorded["sha256"] != sha256:
        raise SourceError(
            f"the file has sha256 {sha256}, but {recorded['sha256']} was recorded on "
            f"{recorded['date']} in {_record_file(root)}; remove that entry to accept the new one"
        )


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _part(root: Path, source: Source) -> Path:
    """Where the bytes of one source gather; mirrors may differ, so each has its own file."""
    folder = root / DOWNLOADS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from error
    mark = hashlib.sha256(source.url.encode()).hexdigest()[:8]
    return folder / f"{mark}-{source.url.rsplit('/', 1)[-1]}.part"


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_name(part.name + ".json").unlink(missing_ok=True)


def _record_file(root: Path) -> Path:
    return root / DOWNLOADS / "recorded.json"


def _recorded(root: Path) -> dict[str, dict[str, str]]:
    try:
        known = json.loads(_record_file(root).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{_record_file(root)}: cannot be read; remove it ({error})") from error
    return {url: entry for url, entry in known.items() if {"sha256", "date"} <= entry.keys()}


def _record(source: Source, root: Path, sha256: str, size: int) -> None:
    entry = {"sha256": sha256, "bytes": str(size), "date": date.today().isoformat()}
    known = {source.url: entry, **_recorded(root)}
    with write_beside(_record_file(root)) as fresh:
        fresh.write_text(json.dumps(known, indent=2) + "\n")


def _require_space(archive: DataArchive, root: Path) -> None:
    """The archive and what it unpacks to lie on the disk together, if only for a while."""
    if archive.gigabytes is None:
        return
    parts = [_part(root, source) for source in archive.sources]
    there = sum(part.stat().st_size for part in parts if part.is_file())
    free = shutil.disk_usage(root).free
    needed = 2 * archive.gigabytes * GIGABYTE - there
    if free < needed:
        raise InputError(
            f"{root}: {archive.name} needs at least {needed / GIGABYTE:.1f} GB, "
            f"but only {free / GIGABYTE:.1f} GB are free"
        )


def _longest(archive: DataArchive, root: Path, part: Path) -> int:
    """Bytes that a file may have before it is taken for another one, or for an endless one."""
    if archive.gigabytes is not None:
        return int(1.5 * archive.gigabytes * GIGABYTE)
    return shutil.disk_usage(root).free + (part.stat().st_size if part.is_file() else 0)


def _by_hand(archive: DataArchive, root: Path, reasons: list[str]) -> str:
    file = archive.sources[0].url.rsplit("/", 1)[-1]
    return "\n".join(
        [
            f"{archive.name}: no source gave the file.",
            *reasons,
            "By hand:",
            f"  1. Get {file} from {archive.page}, from a colleague or with a browser.",
            f"  2. Run: pointcmt-data download {archive.name} --root {root} --from-archive {file}",
            "Running the same command later goes on where it stopped.",
        ]
    )
