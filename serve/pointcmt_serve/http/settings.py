"""What a server is told when it starts. All of it can be pickled, for further worker processes."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pointcmt.errors import InputError

MIB = 2**20
SEVERAL = (
    "{} serve here, and one would not know what another was told; change the folders of the "
    "models, which all of them follow"
)
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]+")
_STATS = "stats"


@dataclass(frozen=True)
class Limits:
    """What one request, and all of them together, may take.

    Attributes:
        body: bytes of one request's body, as it came and unpacked.
        memory: bytes that the bodies and tensors of all requests may hold together.
        headers: bytes of a request's line and headers.
        clouds: clouds of one request.
        connections: connections open at once.
        header_seconds: until a request's headers are whole, counted from its first byte or from
            the connection.
        body_seconds: until a request's body is whole.
        idle_seconds: that a connection may rest between two requests.
        write_seconds: that a client may leave an answer unread.
        deadline: seconds a request may take, unless it names less.
        file_seconds: that the reading of one uploaded file may take.
        file_memory: bytes that it may take, beyond what an idle reader has.
    """

    body: int = 64 * MIB
    memory: int = 512 * MIB
    headers: int = 32 * 1024
    clouds: int = 1024
    connections: int = 1024
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0
    write_seconds: float = 20.0
    deadline: float = 30.0
    file_seconds: float = 20.0
    file_memory: int = 4096 * MIB


@dataclass(frozen=True)
class Batching:
    """How the clouds of many requests go through one network.

    Attributes:
        size: clouds in a batch, at most.
        delay: seconds that a batch which is not full waits for more clouds.
        workers: batches prepared and computed at once; 0 for the cores, at most two on a GPU.
        queue: clouds that may wait for one model; a request that finds no room is told 503.
    """

    size: int = 8
    delay: float = 0.0
    workers: int = 0
    queue: int = 4096

    def threads(self, device: str) -> int:
        """Return how many workers a model on `device` has."""
        return self.workers or (2 if device.startswith("cuda") else max(2, os.cpu_count() or 1))


@dataclass(frozen=True)
class ModelSource:
    """A model to serve: an exported folder, or a folder of numbered versions of one.

    Attributes:
        name: what clients call it; None for the student's own name.
        folder: where it lies.
        options: keyword arguments for `Classifier`: engine, device, threads, up; they come before
            those in the folder's `serving.json`.
        batching: None for the server's.
    """

    name: str | None
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    batching: Batching | None = None


@dataclass(frozen=True)
class Security:
    """Who may ask.

    Attributes:
        keys: the SHA-256 digests of the API keys; empty when none is asked for.
        origins: web origins whose pages may call the server; empty for none.
        tls: certificate chain and private key, PEM files; None for plain text.
        open_metrics: whether the metrics are read without a key.
    """

    keys: tuple[bytes, ...] = ()
    origins: tuple[str, ...] = ()
    tls: tuple[Path, Path] | None = None
    open_metrics: bool = False


@dataclass(frozen=True)
class Settings:
    """Everything the application needs to start.

    Attributes:
        models: served from the start.
        options: keyword arguments for `Classifier` of every model whose source and `serving.json`
            say nothing else: engine, device, threads.
        repository: a folder whose subfolders are models; None for none.
        poll: seconds between two looks at the folders of all models; 0 never looks again.
        fixed: why clients may not load and unload models; "" where they may.
        grpc: "host:port" to speak gRPC on as well; None for REST alone.
        grace: seconds that requests under way have when the server stops.
    """

    models: tuple[ModelSource, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    repository: Path | None = None
    poll: float = 2.0
    fixed: str = ""
    grpc: str | None = None
    grace: float = 30.0
    limits: Limits = field(default_factory=Limits)
    batching: Batching = field(default_factory=Batching)
    security: Security = field(default_factory=Security)


def checked_name(name: str) -> str:
    """Return `name` if a client can write it into a path.

    Raises:
        InputError: it is empty, dots alone, holds a slash, a control character or what is no
            text, or stands for the statistics of all models.
    """
    if not _NAME.fullmatch(name) or not name.strip(". "):
        raise InputError(f"{name!r} is no name for a model; use no slash and no control character")
    if name == _STATS:
        raise InputError(f"{name!r} is no name for a model; /v2/models/{name} is taken")
    return name
