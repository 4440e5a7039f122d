"""One call, as it is named, counted and logged."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.datastructures import Headers

from pointcmt_serve.http.operations.access import kept_id
from pointcmt_serve.http.security import account, offered_key

_ID = "x-request-id"
_OPEN = ("ServerLive", "ServerReady", "Check", "Watch", "List")  # ask for no key


@dataclass
class Call:
    """A call, or one message of a stream.

    Attributes:
        path: "package.Service/Method".
        context: gRPC's.
        peer: the client's end of the connection.
        headers: the metadata that came with it.
        identity: its id, which the client gave or was given, and gets behind the answer.
        account: who asks: by API key where there is one, else by address.
        received: bytes of its message.
        sent: bytes of its answer.
        logged: what else the line in the log tells.
    """

    path: str
    context: Any
    peer: str
    headers: dict[str, str]
    identity: str
    account: str = ""
    received: int = 0
    sent: int = 0
    logged: dict[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method's name without its service's."""
        return self.path.rpartition("/")[2]

    @property
    def seconds(self) -> float | None:
        """What is left of the client's own deadline; None: it has none."""
        left: float | None = self.context.time_remaining()
        return left

    def authorise(self, keys: Sequence[bytes]) -> None:
        """Find out who asks.

        Raises:
            RefusedError: a key is asked for, and none that is known was offered.
        """
        if keys and self.method not in _OPEN:
            self.account = account(keys, offered_key(Headers(self.headers)))
        else:
            self.account = self.peer.rpartition(":")[0]

    def message(self) -> "Call":
        """Return the call that the next message of this stream is."""
        return replace(self, received=0, sent=0, logged={})


def begun(path: str, context: Any) -> Call:
    """Return a call that has just come; its id goes back as metadata behind the answer."""
    headers = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
    identity = kept_id(headers.get(_ID, ""))
    context.set_trailing_metadata(((_ID, identity),))
    return Call(path.removeprefix("/"), context, str(context.peer()), headers, identity)
