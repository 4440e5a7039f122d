"""One model: where it lies, and the versions of it that answer."""

import logging
from dataclasses import replace
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt_serve.artefact import OPTIONS_FILE
from pointcmt_serve.engines.session import first_line
from pointcmt_serve.http.models.folders import Stamp, stamp, versions
from pointcmt_serve.http.models.served import Host, Served
from pointcmt_serve.http.settings import Batching, ModelSource

_log = logging.getLogger(__name__)


class Model:
    """A model's versions, kept in step with its folder.

    Attributes:
        source: where it lies and how it is run; named by its student, if by nobody else, when
            that is loaded first.
        wanted: whether it is to be served.
        proven: whether it was ready once.
        reason: why its folder, or a version in it, cannot be served; "" when all is well.
        ready: the versions that answer, by number. Replaced as a whole, never changed.
    """

    def __init__(self, source: ModelSource, batching: Batching, host: Host) -> None:
        self.source = source
        self.wanted = True
        self.proven = False
        self.reason = ""
        self.ready: dict[str, Served] = {}
        self._batching = batching
        self._host = host
        self._seen: dict[str, Stamp] = {}
        self._refused: dict[str, tuple[Stamp, str]] = {}

    @property
    def name(self) -> str:
        """What clients call it; "" before its student, which names it, was loaded first."""
        return self.source.name or ""

    def forgive(self) -> None:
        """Try versions again that could not be loaded."""
        self._refused = {}

    def emptied(self) -> list[Served]:
        """Make no version ready and return those that were."""
        old, self.ready = list(self.ready.values()), {}
        return old

    def refresh(self, settled: bool = False) -> list[Served]:
        """Load what is new in the folder and return the versions that are served no more. Blocks.

        A version that cannot be loaded leaves the one before it in place, and a folder without
        any, or that cannot be read, all of them; either sets `reason`.

        Args:
            settled: leave a folder alone that has changed since the last look, because somebody
                may still be writing into it.
        """
        ready: dict[str, Served] = {}
        reasons = []
        try:
            found = versions(self.source.folder)
        except (InputError, OSError) as error:
            self._explain([_sentence(self.source.folder, error)])
            return []
        for version, folder in found.items():
            try:
                served = self._version(version, folder, settled)
            except (InputError, OSError) as error:
                reasons.append(_sentence(folder, error))
                served = self.ready.get(version)
            if served is not None:
                ready[version] = served
        old = [served for served in self.ready.values() if served not in ready.values()]
        self.ready, self.proven = ready, self.proven or bool(ready)
        self._explain(reasons)
        return old

    def _explain(self, reasons: list[str]) -> None:
        """Set `reason`, and log it if it is another than before."""
        before, reason = self.reason, "; ".join(reasons)
        self.reason = reason.encode(errors="backslashreplace").decode()  # a file's name is bytes
        if self.reason not in ("", before):
            _log.warning("%s cannot be loaded: %s", self.name or self.source.folder, self.reason)

    def _version(self, version: str, folder: Path, settled: bool) -> Served | None:
        current = self.ready.get(version)
        now = stamp(folder) + stamp(self.source.folder / OPTIONS_FILE)
        before, self._seen[version] = self._seen.get(version), now
        if current is not None and current.stamp == now:
            return current
        refused, sentence = self._refused.get(version, ((), ""))
        if sentence and refused == now:
            raise InputError(sentence)
        if settled and before != now:
            return current
        try:
            served = Served(self.source, version, folder, self._batching, self._host)
        except Exception as error:  # an engine raises what it likes
            self._refused[version] = now, _sentence(folder, error)
            raise InputError(self._refused[version][1]) from error
        served.stamp = now
        self.source = replace(self.source, name=served.name)
        _log.info("model %r, version %s, is ready", served.name, version)
        return served


def _sentence(folder: Path, error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    return f"{folder}: fails with {type(error).__name__} ({first_line(error)})"
