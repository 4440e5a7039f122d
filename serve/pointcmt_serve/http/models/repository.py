"""The models of a server, each with its versions."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from pointcmt.errors import InputError
from pointcmt_serve.http.errors import not_found
from pointcmt_serve.http.models.folders import discover
from pointcmt_serve.http.models.model import Model
from pointcmt_serve.http.models.served import Host, Served
from pointcmt_serve.http.settings import ModelSource, Settings, checked_name

_log = logging.getLogger(__name__)


class Repository:
    """Finds models by name and version, and keeps them in step with their folders.

    Its coroutines run on one event loop; loading itself runs in threads.

    Attributes:
        started: everything that is to be served from the start is loaded.
    """

    def __init__(self, settings: Settings, host: Host) -> None:
        self._settings = settings
        self._host = host
        self._models: dict[str, Model] = {}
        self.started = False
        self._changing = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._stated: set[str] = set()  # names of the models that the settings name
        self._skipped: dict[str, str] = {}

    def start(self) -> None:
        """Load everything that is to be served from the start. Blocks.

        Raises:
            InputError: a model named by the settings cannot be loaded, or two have one name.
        """
        for source in self._settings.models:
            model = self._model(source)
            model.refresh()
            if model.reason:
                raise InputError(model.reason)
            if checked_name(model.name) in self._models:
                raise InputError(f"two models are called {model.name!r}; write NAME=DIR for each")
            self._models[model.name] = model
            self._stated.add(model.name)
        for name, source in self._found().items():
            self._models[name] = self._model(source)
            self._models[name].refresh()
        if not self._models and self._settings.repository is None:
            raise InputError("there is no model to serve; name one, or a repository folder")
        self.started = True

    def get(self, name: str, version: str | None = None) -> Served:
        """Return a version that is ready; the newest one where none is named.

        Raises:
            RefusedError: there is no such model, or it is not ready.
        """
        model = self._models.get(name)
        if model is None:
            raise not_found(f"there is no model {name!r}")
        ready = model.ready  # which a thread may replace meanwhile
        if not ready:
            why = f" ({model.reason})" if model.reason else ""
            raise not_found(f"model {name!r} is not ready{why}")
        if version is None:
            return ready[max(ready, key=int)]
        if version not in ready:
            raise not_found(f"model {name!r} has no version {version!r} that is ready")
        return ready[version]

    def only(self) -> Served:
        """Return the one model there is, for a caller that names none.

        Raises:
            RefusedError: there are several, or none.
        """
        if len(self._models) != 1:
            names = ", ".join(sorted(self._models)) or "none"
            raise not_found(f"name a model; there are: {names}")
        return self.get(next(iter(self._models)))

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model that are ready, oldest first."""
        return sorted(self._models[name].ready, key=int) if name in self._models else []

    def served(self) -> Iterable[Served]:
        """Return all versions of all models that are ready."""
        return [served for model in self._models.values() for served in model.ready.values()]

    @property
    def ready(self) -> bool:
        """Whether every model that was ready once, and is wanted, can answer."""
        return all(m.ready for m in self._models.values() if m.wanted and m.proven)

    def index(self, ready_only: bool = False) -> list[dict[str, Any]]:
        """Return the protocol's list of models, with their state."""
        entries = []
        for name, model in sorted(self._models.items()):
            versions, state, reason = self.versions(name), "READY", model.reason
            if not versions and not ready_only:
                versions, state = [""], "UNAVAILABLE"
                reason = reason or ("not loaded yet" if model.wanted else "unloaded")
            for version in versions:
                entry = {"name": name, "version": version, "state": state, "reason": reason}
                entries.append(entry)
        return entries

    async def load(self, name: str) -> None:
        """Load a model, or take over its changed folder.

        Raises:
            RefusedError: nothing of this name is known.
            InputError: it cannot be loaded; what was loaded before stays.
        """
        async with self._changing:
            model = self._models.get(name)
            if model is None:
                found = await asyncio.to_thread(self._found)
                if name not in found:
                    raise not_found(f"there is no model {name!r}")
                model = self._models[name] = self._model(found[name])
            model.wanted = True
            model.forgive()
            self._retire(await asyncio.to_thread(model.refresh))
            if model.reason:
                raise InputError(model.reason)

    async def unload(self, name: str) -> None:
        """Stop serving a model; requests that it has accepted are answered.

        Raises:
            RefusedError: nothing of this name is known.
        """
        async with self._changing:
            if name not in self._models:
                raise not_found(f"there is no model {name!r}")
            model = self._models[name]
            model.wanted, model.proven, model.reason = False, False, ""
            self._retire(model.emptied())

    async def watch(self) -> None:
        """Look at all folders again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.poll)
            try:
                async with self._changing:
                    await self._look()
            except InputError as error:
                _log.warning("%s", error)
            except Exception:  # whatever it is, the next look may do
                _log.exception("the folders of the models could not be looked at")

    async def close(self) -> None:
        """Answer what was accepted and end all workers."""
        for model in self._models.values():
            self._retire(model.emptied())
        await asyncio.gather(*self._closing)

    async def _look(self) -> None:
        found = await asyncio.to_thread(self._found)
        for name, source in found.items():
            if name not in self._models:
                self._models[name] = self._model(source)
        for name, model in list(self._models.items()):
            if name not in found and name not in self._stated:
                del self._models[name]
                self._retire(model.emptied())
                _log.info("model %r is gone from the repository", name)
            elif model.wanted:
                self._retire(await asyncio.to_thread(model.refresh, settled=True))

    def _found(self) -> dict[str, ModelSource]:
        if self._settings.repository is None:
            return {}
        models, skipped = discover(self._settings.repository, self._stated)
        for name, why in skipped.items():
            if name not in self._skipped:
                _log.warning("a folder of the repository is not served: %s", why)
        self._skipped = skipped
        return models

    def _model(self, source: ModelSource) -> Model:
        return Model(source, source.batching or self._settings.batching, self._host)

    def _retire(self, old: list[Served]) -> None:
        for served in old:
            task = asyncio.create_task(asyncio.to_thread(served.close))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
