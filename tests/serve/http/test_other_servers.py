"""The application under another ASGI server than ours, such as Ray Serve's."""

import asyncio
import json
from typing import Any

from pointcmt_serve.http import Settings, create_app
from pointcmt_serve.http.service import Service
from tests.serve.http.running import GOOD, INFER, multipart

CSV = {"cloud.csv": b"x,y,z\n" + b"".join(b"%d,%d,1\n" % (i, i * i) for i in range(40))}


async def ask(app: Any, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    """Call the application as the ASGI specification says, with nothing that it leaves open."""
    sent: list[Any] = []
    received = [{"type": "http.request", "body": body}]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> Any:
        if received:
            return received.pop()
        return await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(text)


def test_clouds_and_files_are_classified(tiny: Settings) -> None:
    service = Service(tiny)
    service.models.start()
    app = create_app(tiny, service)
    asked = json.dumps({"inputs": [GOOD]}).encode()
    form, kind = multipart({}, CSV)

    async def both() -> list[Any]:
        length = {"Content-Length": str(len(asked))}
        return [await ask(app, INFER, asked, length), await ask(app, "/classify", form, kind)]

    try:
        assert [status for status, _ in asyncio.run(both())] == [200, 200]
    finally:
        asyncio.run(service.close())
