"""API keys."""

import hashlib
import hmac
import os
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import Headers

from pointcmt.errors import InputError
from pointcmt_serve.http.errors import RefusedError

VARIABLE = "POINTCMT_API_KEYS"
SHORTEST = 16  # characters
# These paths ask for no key: the page, which asks its user for one, and what probes ask.
OPEN = (
    *("/", "/upload", "/page.js", "/docs", "/openapi.json"),
    *("/v2/health/live", "/v2/health/ready"),
)


def read_keys(file: Path | None) -> tuple[bytes, ...]:
    """Return the digests of the keys in `file`, a line each, and in POINTCMT_API_KEYS.

    Raises:
        InputError: the file cannot be read, it or the variable holds no key, or a key is short or
            not ASCII.
    """
    stated = os.environ.get(VARIABLE, "")
    words = stated.replace(",", " ").split()
    if stated and not words:
        raise InputError(f"{VARIABLE} is set and holds no API key; unset it, or write one")
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: the API keys cannot be read ({error})") from error
        found = [key for line in lines if (key := line.strip()) and not key.startswith("#")]
        if not found:
            raise InputError(f"{file}: holds no API key; write one a line")
        words += found
    if any(len(word) < SHORTEST for word in words):
        raise InputError(f"an API key is shorter than {SHORTEST} characters; make it longer")
    if not all(word.isascii() and word.isprintable() for word in words):
        raise InputError("an API key holds other than ASCII characters, which headers do not carry")
    return tuple(digest(word) for word in words)


def digest(key: str) -> bytes:
    """Return what is compared in place of a key, so that all comparisons have one length."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def account(keys: Iterable[bytes], offered: str | None) -> str:
    """Return a name for whoever offers a key, in constant time.

    Raises:
        RefusedError: 401, no known key was offered.
    """
    known = False
    found = digest(offered or "")
    for key in keys:
        known |= hmac.compare_digest(found, key)  # all are compared, whichever matches
    if offered is None or not known:
        raise RefusedError(
            HTTPStatus.UNAUTHORIZED,
            "send an API key that is known here, as 'Authorization: Bearer KEY'",
            reason="unauthorized",
            headers={"WWW-Authenticate": 'Bearer realm="pointcmt"'},
        )
    return found.hex()[:16]


def offered_key(headers: Headers) -> str | None:
    """Return the key in a request's headers: a bearer token, or X-API-Key."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key")
