"""One model: where it lies, and the versions of it that answer."""

import logging
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt_serve.http.models.folders import OPTIONS_FILE, Stamp, stamp, versions
from pointcmt_serve.http.models.served import Host, Served
from pointcmt_serve.http.settings import Batching, ModelSource

_log = logging.getLogger(__name__)


class Model:
    """A model's versions, kept in step with its folder.

    Attributes:
        source: where it lies and how it is run.
        wanted: whether it is to be served.
        reason: why its folder, or a version in it, cannot be served; "" when all is well.
        ready: the versions that answer, by number. Replaced as a whole, never changed.
    """

    def __init__(self, source: ModelSource, batching: Batching, host: Host) -> None:
        self.source = source
        self.wanted = True
        self.reason = ""
        self.ready: dict[str, Served] = {}
        self._batching = batching
        self._host = host
        self._seen: dict[str, Stamp] = {}
        self._refused: dict[str, tuple[Stamp, str]] = {}

    @property
    def name(self) -> str:
        """What clients call it."""
        return self.source.name or next(iter(self.ready.values())).name

    def forgive(self) -> None:
        """Try versions again that could not be loaded."""
        self._refused = {}

    def emptied(self) -> list[Served]:
        """Make no version ready and return those that were."""
        old, self.ready = list(self.ready.values()), {}
        return old

    def refresh(self, settled: bool = False) -> list[Served]:
        """Load what is new in the folder and return the versions that are served no more. Blocks.

        A version that cannot be loaded leaves the one before it in place, and sets `reason`.

        Args:
            settled: leave a folder alone that has changed since the last look, because somebody
                may still be writing into it.
        """
        ready: dict[str, Served] = {}
        reasons = []
        for version, folder in versions(self.source.folder).items():
            try:
                served = self._version(version, folder, settled)
            except InputError as error:
                reasons.append(str(error))
                served = self.ready.get(version)
            if served is not None:
                ready[version] = served
        old = [served for served in self.ready.values() if served not in ready.values()]
        self.ready, self.reason = ready, "; ".join(reasons)
        return old

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
        except InputError as error:
            self._refused[version] = now, str(error)
            _log.warning("%s cannot be loaded: %s", self.source.name or folder, error)
            raise
        served.stamp = now
        _log.info("model %r, version %s, is ready", served.name, version)
        return served
