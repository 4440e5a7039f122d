"""Views of a whole data set as pictures on disk: on all cores, resumable, one bad object apart.

The layout is RotationNet's, `<class>/<split>/<name>_001.png` and on, which
`pointcmt.data.RenderedViews` reads. A file `views.json` says how the pictures were made.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import torch

from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt.processes import clean_context, follow_parent
from pointcmt.views.pictures import Source, ViewSettings, drawing, picture_paths, save
from pointcmt.views.surfaces import PaintWarning
from pointcmt.views.window import require_pyvista

SETTINGS_FILE = "views.json"
CHUNK = 16  # objects a process takes at a time
Outcome = tuple[int, list[str], list[str]]  # objects done, failures, those drawn without paint


@dataclass(frozen=True)
class ViewJob:
    """One object.

    Attributes:
        stem: path of its pictures without `_001.png`, e.g. `chair/train/chair_0001`.
        source: a mesh or its file for `render`; a cloud (N, 3), or (N, 6) with colours from 0 to
            1 in the last three channels, for `project`; one without colours for `surface`.
    """

    stem: str
    source: Source


@dataclass
class ViewReport:
    """What came of it: counts of objects, a sentence for each that failed or was drawn plainer."""

    made: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    plainer: list[str] = field(default_factory=list)


def write_views(
    jobs: Sequence[ViewJob],
    out: Path,
    settings: ViewSettings,
    workers: int = 1,
    advance: Callable[[int], object] = lambda _count: None,
    share: slice = slice(None),
) -> ViewReport:
    """Write the views of all objects; those whose pictures are all there are skipped.

    Args:
        jobs: the objects; no two may have the same stem.
        out: the folder for the pictures.
        settings: how they are made; a folder holds pictures of one kind only.
        workers: processes; 1 works in this one.
        advance: called with a number of objects that are done.
        share: which of the jobs are this call's, where several machines draw.

    Returns:
        The counts, and the objects that failed; their good neighbours are written all the same.

    Raises:
        InputError: `out` holds pictures of other settings, two objects have one stem, the disk is
            full, or the `render` extra is needed and missing.
    """
    if settings.kind != "project":
        require_pyvista()
    _require_distinct(jobs)
    _require_same_settings(out, settings)
    count, jobs = len(settings.cameras), jobs[share]
    missing = [
        job for job in jobs if not all(p.is_file() for p in picture_paths(out, job.stem, count))
    ]
    report = ViewReport(skipped=len(jobs) - len(missing))
    advance(report.skipped)
    for chunk, failed, plainer in _results(missing, out, settings, workers):
        report.made += chunk - len(failed)
        report.failed += failed
        report.plainer += plainer
        advance(chunk)
    return report


def _results(
    jobs: list[ViewJob], out: Path, settings: ViewSettings, workers: int
) -> Iterator[Outcome]:
    chunks = iter([jobs[i : i + CHUNK] for i in range(0, len(jobs), CHUNK)])
    if workers == 1 or len(jobs) <= CHUNK:
        for chunk in chunks:
            yield _write_chunk(chunk, out, settings)
        return
    with ProcessPoolExecutor(workers, clean_context(__name__), _begin) as pool:

        def work(chunk: list[ViewJob]) -> "Future[Outcome]":
            return pool.submit(_write_chunk, chunk, out, settings)

        pending = {work(chunk) for chunk in islice(chunks, 2 * workers)}
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                pending |= {work(chunk) for chunk in islice(chunks, len(done))}
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f"{out}: a process was killed, perhaps for want of memory; "
                "the finished pictures are kept, go on with fewer workers"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """Keep each process to one core, and let none outlive this one."""
    follow_parent()
    torch.set_num_threads(1)


def _write_chunk(jobs: list[ViewJob], out: Path, settings: ViewSettings) -> Outcome:
    """Draw and save some objects."""
    failed = []
    with warnings.catch_warnings(record=True) as caught, drawing(settings) as draw:
        warnings.simplefilter("always", PaintWarning)
        for job in jobs:
            try:
                pictures = draw(job.source)
            except (InputError, ValueError) as error:
                named = isinstance(job.source, Path)
                failed.append(str(error) if named else f"{job.stem}: {error}")
            else:
                save(out, job.stem, pictures)
    plainer = [str(one.message) for one in caught if one.category is PaintWarning]
    return len(jobs), failed, plainer


def _require_distinct(jobs: Sequence[ViewJob]) -> None:
    seen: set[str] = set()
    for job in jobs:
        if job.stem in seen:
            raise InputError(f"two objects are named {job.stem}; rename one")
        seen.add(job.stem)


def _require_same_settings(out: Path, settings: ViewSettings) -> None:
    path = out / SETTINGS_FILE
    wanted = asdict(settings)
    if path.is_file():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: is not JSON ({error}); remove it") from error
        if not isinstance(found, dict) or {"look": "shaded", "points": 0, **found} != wanted:
            raise InputError(
                f"{out}: holds views made with {found}, not {wanted}; name another folder"
            )
        return
    with write_beside(path) as fresh:
        fresh.write_text(json.dumps(wanted, indent=2) + "\n")
