"""An archive brought to its folder: fetched from the first mirror that works, unpacked."""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.fetch.archive import ArchiveError, is_archive, unpack
from pointcmt.fetch.hashing import file_digest
from pointcmt.fetch.mirrors import Archive, Mirror
from pointcmt.fetch.transfer import Progress, SourceError, transfer
from pointcmt.files import write_beside

DOWNLOADS = ".downloads"  # unfinished files and what was recorded, under the data root
GIGABYTE = 10**9
UNKNOWN_GIGABYTES = 20.0  # what an archive of unknown size may have


def _quiet(_done: int, _total: int | None) -> None:
    """Show no progress."""


def download(
    name: str,
    archive: Archive,
    root: Path,
    *,
    from_archive: Path | None = None,
    progress: Progress = _quiet,
    say: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Bring an archive to `root / archive.folder`; what is already there is left as it is.

    Mirrors are tried in order. Bytes that arrived stay under `root/.downloads` until the folder is
    in place, so the same call goes on after an interruption. A file is accepted if it has the
    published digest; where none is published, its sha256 is recorded at the first download and
    required from then on.

    Args:
        name: of the data set, for messages.
        archive: where it can be had.
        root: folder of all data sets.
        from_archive: the user's own copy of the archive; nothing is fetched then.
        progress: called with the bytes so far and the bytes in all, or None.
        say: takes lines about what happens.

    Returns:
        The folder.

    Raises:
        InputError: no mirror gave the file (with the reasons and what to do by hand), the disk
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
    _require_space(name, archive, root)
    reasons = []
    for mirror in archive.mirrors:
        say(f"fetching {mirror.url}")
        try:
            _from_mirror(archive, mirror, root, progress)
        except SourceError as error:
            say(f"  {error}")
            reasons.append(f"  {mirror.url}: {error}")
        else:
            for tried in archive.mirrors:
                _discard(_part(root, tried))
            return folder
    raise InputError(_by_hand(name, archive, root, reasons))


def _from_mirror(archive: Archive, mirror: Mirror, root: Path, progress: Progress) -> None:
    part = _part(root, mirror)
    limit = _longest(archive, root, part)
    resumed = transfer(mirror.url, part, limit, progress)
    try:
        _accept(archive, mirror, root, part)
    except SourceError:
        if not resumed:
            raise
        transfer(mirror.url, part, limit, progress)  # the pieces did not fit: once more in one
        _accept(archive, mirror, root, part)


def _accept(archive: Archive, mirror: Mirror, root: Path, part: Path) -> None:
    """Check, unpack and record `part`; remove it if it is not the file."""
    sha256 = file_digest(part)
    try:
        if not is_archive(part):
            raise SourceError("what it sends is no archive")
        _require_digest(mirror, root, part, sha256)
        unpack(part, root / archive.folder, archive.marker)
    except ArchiveError as error:
        _discard(part)
        raise SourceError(str(error).removeprefix(f"{part}: ")) from error
    except SourceError:
        _discard(part)
        raise
    _record(mirror, root, sha256, part.stat().st_size)


def _require_digest(mirror: Mirror, root: Path, part: Path, sha256: str) -> None:
    if mirror.digest is not None:
        kind, _, expected = mirror.digest.partition(":")
        found = sha256 if kind == "sha256" else file_digest(part, kind)
        if found != expected:
            raise SourceError(f"the file has {kind} {found}, published is {expected}")
        return
    recorded = _recorded(root).get(mirror.url)
    if recorded is not None and recorded["sha256"] != sha256:
        raise SourceError(
            f"the file has sha256 {sha256}, but {recorded['sha256']} was recorded on "
            f"{recorded['date']} in {_record_file(root)}; remove that entry to accept the new one"
        )


def _part(root: Path, mirror: Mirror) -> Path:
    """Where the bytes of one mirror gather; mirrors may differ, so each has its own file."""
    folder = root / DOWNLOADS
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from error
    mark = hashlib.sha256(mirror.url.encode()).hexdigest()[:8]
    return folder / f"{mark}-{mirror.url.rsplit('/', 1)[-1]}.part"


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


def _record(mirror: Mirror, root: Path, sha256: str, size: int) -> None:
    entry = {"sha256": sha256, "bytes": str(size), "date": date.today().isoformat()}
    known = {mirror.url: entry, **_recorded(root)}
    with write_beside(_record_file(root)) as fresh:
        fresh.write_text(json.dumps(known, indent=2) + "\n")


def _require_space(name: str, archive: Archive, root: Path) -> None:
    """The archive and what it unpacks to lie on the disk together, if only for a while."""
    if archive.gigabytes is None:
        return
    parts = [_part(root, mirror) for mirror in archive.mirrors]
    there = sum(part.stat().st_size for part in parts if part.is_file())
    free = shutil.disk_usage(root).free
    needed = 2 * archive.gigabytes * GIGABYTE - there
    if free < needed:
        raise InputError(
            f"{root}: {name} needs at least {needed / GIGABYTE:.1f} GB, "
            f"but only {free / GIGABYTE:.1f} GB are free"
        )


def _longest(archive: Archive, root: Path, part: Path) -> int:
    """Bytes that a file may have before it is taken for another one, or for an endless one."""
    if archive.gigabytes is not None:
        return int(1.5 * archive.gigabytes * GIGABYTE)
    there = part.stat().st_size if part.is_file() else 0
    return min(int(UNKNOWN_GIGABYTES * GIGABYTE), shutil.disk_usage(root).free + there)


def _by_hand(name: str, archive: Archive, root: Path, reasons: list[str]) -> str:
    file = archive.mirrors[0].url.rsplit("/", 1)[-1]
    return "\n".join(
        [
            f"{name}: no mirror gave the file.",
            *reasons,
            "By hand:",
            f"  1. Get {file} from {archive.page}, from a colleague or with a browser.",
            f"  2. Run: pointcmt-data download {name} --root {root} --from-archive {file}",
            "Running the same command later goes on where it stopped.",
        ]
    )
