"""One file over HTTP: resumed after a cut connection, retried with back-off, never trusted."""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pointcmt.errors import InputError

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known

ATTEMPTS = 6  # in a row without a new byte
MOST_ATTEMPTS = 200  # in all: a server that gives a few bytes a time is given up, too
FIRST_ATTEMPTS = 3  # the same for a server that has not been reached yet
STALL = 60.0  # seconds without a byte after which a connection counts as cut
LONGEST_WAIT = 60.0  # seconds between attempts
CHUNK = 2**18


class SourceError(Exception):
    """This source cannot give the file; another may. The message says why, without the address."""


class _CutError(Exception):
    """The connection broke; what has arrived is kept.

    `wait` is the seconds that the server asks for, `reached` whether it answered at all.
    """

    def __init__(self, reason: str, wait: float | None = None, reached: bool = True) -> None:
        super().__init__(reason)
        self.wait, self.reached = wait, reached


def transfer(url: str, part: Path, limit: int, progress: Progress) -> bool:
    """Fetch `url` into `part`, going on where an earlier call for the same file was interrupted.

    The server must say that the file is still the same one (an entity tag or a date, kept beside
    `part`) and send the bytes that were asked for (`Content-Range`); otherwise, or when it cannot
    resume, the file is fetched from its beginning. Progress is what goes beyond the bytes that were
    there before, so a server that begins again and again is given up.

    Args:
        url: http or https.
        part: the file to fill; kept on every failure that a later call may mend.
        limit: bytes; a longer file is refused.
        progress: called with the bytes so far and the bytes in all, or None.

    Returns:
        Whether the file was put together from more than one answer.

    Raises:
        SourceError: the server refuses, answers with a web page, does not exist or shows a
            certificate that is not valid; the connection broke six times in a row without a new
            byte, or two hundred times in all; the file is longer than `limit`.
        InputError: the disk is full or cannot be written.
    """
    failures, resumed, most = 0, False, _size(part)
    for _ in range(MOST_ATTEMPTS):
        before = _size(part)
        try:
            return _attempt(url, part, limit, progress) or resumed
        except _CutError as cut:
            failures = 1 if _size(part) > most else failures + 1
            most = max(most, _size(part))
            resumed = resumed or _size(part) > before > 0
            if failures >= (ATTEMPTS if cut.reached or _size(part) else FIRST_ATTEMPTS):
                raise SourceError(f"{cut}, {failures} times in a row") from cut
            time.sleep(min(LONGEST_WAIT, cut.wait or 2.0 ** (failures - 1)))
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"{part}: cannot be written ({reason}); what has arrived is kept"
            ) from error
    raise SourceError(f"the connection broke {MOST_ATTEMPTS} times; what has arrived is kept")


def _attempt(url: str, part: Path, limit: int, progress: Progress) -> bool:
    """Ask once; return whether the answer continued what was there."""
    start, headers = _resume_headers(part)
    try:
        response = _open(url, headers)
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{start}":
            return True  # all of it is there: the first answer promised more than there is
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise _CutError("the file has changed on the server") from error
        raise _refusal(error) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from error
    with response:
        resumed = response.status == 206
        if resumed and _range_start(response) != start:
            part.unlink(missing_ok=True)
            raise _CutError("the server resumed at another byte than was asked for")
        start = start if resumed else 0
        _require_file(response)
        total = _total(response, start)
        if total is not None and total > limit:
            raise SourceError(f"the file has {total} bytes, more than the {limit} expected")
        _remember(part, response)
        with part.open("ab" if resumed else "wb") as file:
            _receive(response, file.write, start, total, limit, progress)
    return resumed


def _receive(
    response: http.client.HTTPResponse,
    write: Callable[[bytes], int],
    done: int,
    total: int | None,
    limit: int,
    progress: Progress,
) -> None:
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _CutError(f"the connection broke after {done} bytes") from error
        if not chunk:
            break
        done += len(chunk)
        if done > limit:
            raise SourceError(f"the file is longer than the {limit} bytes expected")
        write(chunk)
        progress(done, total)
    if total is not None and done < total:
        raise _CutError(f"the connection ended after {done} of {total} bytes")


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    if not url.startswith(("http://", "https://")):
        raise SourceError("the address is neither http nor https")
    everything = {"User-Agent": "pointcmt", "Accept-Encoding": "identity", **headers}
    request = urllib.request.Request(url, headers=everything)  # noqa: S310
    response = urllib.request.urlopen(request, timeout=STALL)  # noqa: S310
    if not isinstance(response, http.client.HTTPResponse):  # redirected to ftp
        raise SourceError("the address leads to another protocol than http")
    return response


def _resume_headers(part: Path) -> tuple[int, dict[str, str]]:
    """Where to go on, and the question to the server; 0 and nothing if that is not possible."""
    size = _size(part)
    try:
        validator = json.loads(_notes(part).read_text())["validator"]
    except (OSError, ValueError, KeyError, TypeError):
        validator = None
    if not size or not isinstance(validator, str):
        return 0, {}
    return size, {"Range": f"bytes={size}-", "If-Range": validator}


def _remember(part: Path, response: http.client.HTTPResponse) -> None:
    """Keep what identifies the file on the server; a weak entity tag does not identify bytes."""
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    _notes(part).write_text(json.dumps({"validator": validator}))


def _notes(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _range_start(response: http.client.HTTPResponse) -> int | None:
    """The first byte of a partial answer, from `Content-Range: bytes 100-199/200`."""
    words = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")
    return int(words[0]) if words[0].isdecimal() else None


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _require_file(response: http.client.HTTPResponse) -> None:
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise SourceError("the server answers with a web page instead of the file")


def _refusal(error: urllib.error.HTTPError) -> Exception:
    reason = f"the server answers {error.code} {error.reason}"
    if error.code == 429 or error.code >= 500:
        after = error.headers.get("Retry-After", "")
        return _CutError(reason, float(after) if after.isdecimal() else None)
    return SourceError(reason)


def _unreachable(error: Exception) -> Exception:
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SourceError(f"its certificate is not valid ({cause.verify_message})")
    return _CutError(f"cannot be reached ({cause})", reached=False)
