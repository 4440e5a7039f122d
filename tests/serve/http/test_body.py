"""Packed bodies, of every length around the pieces in which they are unpacked."""

import gzip
import random
import zlib
from collections.abc import Callable

import pytest

from pointcmt.errors import InputError
from pointcmt_serve.http.body import unpack

PIECE = 1 << 20
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": lambda body: zlib.compress(body, wbits=-15),
    "stored": lambda body: zlib.compress(body, 0, wbits=-15),
}
TEXTS = [b"\0", b'{"inputs": [0.125, ', random.Random(0).randbytes(1 << 12)]
NEAR = [-1, 0, 1, 90, 200, 258]  # what a match may hold back is at most 258 bytes


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("text", TEXTS, ids=["zeros", "json", "noise"])
def test_a_body_of_any_length_is_unpacked(packing: str, text: bytes) -> None:
    sizes = [0, 1, 99, *(pieces * PIECE + near for pieces in (1, 2) for near in NEAR)]
    for size in sizes:
        body = (text * (size // len(text) + 1))[:size]
        assert b"".join(unpack(PACKINGS[packing](body))) == body, size


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_body_that_is_cut_short_is_refused(packing: str) -> None:
    draw = random.Random(1)
    packed = PACKINGS[packing](draw.randbytes(99) + bytes(PIECE + 90) + draw.randbytes(99))
    for end in [1, 5, *(draw.randrange(1, len(packed)) for _ in range(20)), len(packed) - 1]:
        with pytest.raises(InputError, match="packed"):
            list(unpack(packed[:end]))
