"""What is written of an answer travels in one piece, in order, and before a connection's end."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from pointcmt_serve.http.transport.gentle import GentleTransport


class Inner:
    """Records what a connection's own transport is told."""

    def __init__(self) -> None:
        self.told: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.told.append(bytes(data))

    def close(self) -> None:
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")

    def write_eof(self) -> None:
        self.told.append("eof")

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return "close" in self.told

    def resume_reading(self) -> None:
        pass


def told_after(
    act: Callable[[GentleTransport], Any], *, unread: bool = False, turns: int = 0
) -> list[bytes | str]:
    """Return what the inner transport is told by `act`, and by so many turns of the loop after."""

    async def run() -> list[bytes | str]:
        inner = Inner()
        loop = asyncio.get_running_loop()
        act(GentleTransport(cast(asyncio.Transport, inner), loop, lambda: unread))
        for _ in range(turns):
            await asyncio.sleep(0)
        return list(inner.told)

    return asyncio.run(run())


def answer(transport: GentleTransport) -> None:
    for part in (b"head ", b"body", b""):
        transport.write(part)


@pytest.mark.parametrize(("turns", "told"), [(0, []), (1, [b"head body"]), (3, [b"head body"])])
def test_parts_of_an_answer_are_sent_together_by_the_next_turn(
    turns: int, told: list[bytes]
) -> None:
    assert told_after(answer, turns=turns) == told


def test_a_whole_answer_does_not_wait_for_the_turn() -> None:
    def act(transport: GentleTransport) -> None:
        answer(transport)
        transport.flush()
        transport.flush()
        transport.write(b"next")

    assert told_after(act) == [b"head body"]
    assert told_after(act, turns=1) == [b"head body", b"next"]


def test_much_is_passed_on_at_once_so_that_a_slow_client_can_hold_its_writer_back() -> None:
    piece = b"x" * (1 << 15)

    def act(transport: GentleTransport) -> None:
        for _ in range(5):
            transport.write(piece)

    assert told_after(act) == [2 * piece, 2 * piece]


@pytest.mark.parametrize(
    ("end", "unread", "told"),
    [
        (GentleTransport.close, False, [b"head body", "close"]),
        (GentleTransport.close, True, [b"head body", "eof"]),
        (GentleTransport.end, False, [b"head body", "close"]),
        (GentleTransport.abort, False, ["abort"]),
    ],
)
def test_an_end_comes_behind_what_was_written_and_a_break_instead_of_it(
    end: Callable[[GentleTransport], None], unread: bool, told: list[bytes | str]
) -> None:
    def act(transport: GentleTransport) -> None:
        answer(transport)
        end(transport)

    assert told_after(act, unread=unread, turns=2) == told
