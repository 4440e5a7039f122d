"""A form with files, as a browser or curl sends it."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from pointcmt.errors import InputError
from pointcmt_serve.http.errors import RefusedError

MAX_FILES = 64
_PIECE = 1 << 16


class _Form(MultiPartParser):
    """Starlette's parser, which also tells whether the form came to its end."""

    whole = False

    def on_end(self) -> None:
        self.whole = True


async def read_form(request: Request, body: bytes) -> FormData:
    """Return the fields and files in a body.

    Raises:
        RefusedError: 415, it is sent as something else.
        InputError: it is no whole form in UTF-8, or holds too much.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "send files as multipart/form-data, in the field file (curl -F file=@chair.off)",
        )
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise InputError("the form is in another charset than UTF-8, in which its text is read")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
            await asyncio.sleep(0)

    parser = _Form(request.headers, pieces(), max_files=MAX_FILES, max_fields=16)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except (MultiPartException, MultipartParseError, KeyError, UnicodeError) as error:
        sentence = getattr(error, "message", str(error))
        raise InputError(f"the form cannot be read ({sentence})") from error
    if not parser.whole:
        raise InputError("the form is cut short; its last boundary, with -- behind it, is missing")
    return form


def field(request: Request, form: FormData, name: str) -> str | None:
    """Return the text of a field, or of the parameter of the URL; None where it is empty.

    Raises:
        InputError: it is a file.
    """
    value = form.get(name, request.query_params.get(name))
    if value is not None and not isinstance(value, str):
        raise InputError(f"the field {name} is a file; send text")
    return value or None


def files_in(form: FormData) -> list[UploadFile]:
    """Return the files in the field file.

    Raises:
        InputError: there is none.
    """
    sent = form.getlist("file")
    files = [value for value in sent if isinstance(value, UploadFile)]
    if not files:
        nameless = "; what came there has no filename" if sent else ""
        raise InputError(f"send at least one file, in the field file of the form{nameless}")
    return files
