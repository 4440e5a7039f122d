"""Web pages of other origins: which may ask, and what they see of an answer."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pointcmt_serve.http import Security, Settings
from tests.serve.http.running import GOOD, INFER, Running, running

KEY = "a-key-of-some-length"
FRIEND = "https://example.org"
BODY = json.dumps({"inputs": [GOOD]}).encode()
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


@pytest.fixture(scope="module")
def friendly(tiny: Settings) -> Iterator[Running]:
    """A server that asks for a key, and lets one origin in."""
    security = Security((hashlib.sha256(KEY.encode()).digest(),), (FRIEND,))
    with running(replace(tiny, security=security)) as found:
        yield found


@pytest.mark.parametrize("origin", ["http://evil.example", "null", FRIEND, "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", [INFER, "/v2/repository/models/tiny/unload", "/classify"])
def test_a_page_of_another_origin_makes_the_server_do_nothing(
    server: Running, path: str, origin: str
) -> None:
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    status, _, answer = server.ask("POST", path, BODY, headers)
    assert status == 403
    assert origin in json.loads(answer)["error"]
    assert server.ask("GET", "/v2/models/tiny", None, headers)[0] == 200


def test_the_servers_own_page_may_ask(server: Running) -> None:
    own = f"127.0.0.1:{server.port}"
    for headers in (
        {},
        {"Origin": f"http://{own}"},
        {"Origin": f"https://{own}"},  # behind a proxy that ends TLS
        {"Origin": "https://public.example", "Host": "public.example"},
        {"Origin": "https://public.example", "Sec-Fetch-Site": "same-origin"},
    ):
        assert server.ask("POST", INFER, BODY, headers)[0] == 200


def test_a_named_origin_reads_answers_and_refusals(friendly: Running) -> None:
    ours = {"Origin": FRIEND, "X-API-Key": KEY}
    for method, path, body, headers, status in (
        ("POST", INFER, BODY, ours, 200),
        ("POST", INFER, b"{}", ours, 400),
        ("POST", INFER, BODY, {"Origin": FRIEND}, 401),
        ("GET", "/nothing", None, ours, 404),
        ("PUT", INFER, BODY, ours, 405),
        ("POST", INFER, BODY, ours | {"X-Request-Timeout": "0.000001"}, 504),
    ):
        found, answered, _ = friendly.ask(method, path, body, headers)
        assert (found, answered["access-control-allow-origin"]) == (status, FRIEND)
        assert "Retry-After" in answered["access-control-expose-headers"]
        assert answered["x-request-id"]
    assert friendly.ask("POST", INFER, BODY, ours | {"Origin": "http://evil.example"})[0] == 403


def test_a_preflight_is_answered_or_refused_in_json(friendly: Running) -> None:
    asked = PREFLIGHT | {"Origin": FRIEND}
    status, headers, _ = friendly.ask("OPTIONS", INFER, None, asked)
    assert (status, headers["access-control-allow-headers"]) == (200, "x-api-key")
    for change in (
        {"Origin": "http://evil.example"},
        {"Access-Control-Request-Method": "DELETE"},
    ):
        status, headers, answer = friendly.ask("OPTIONS", INFER, None, asked | change)
        assert (status, headers["content-type"]) == (403, "application/json")
        assert list(json.loads(answer)) == ["error"]
        assert headers["x-request-id"]


def test_any_origin_may_ask_where_the_star_is_named(tiny: Settings) -> None:
    with running(replace(tiny, security=Security(origins=("*",)))) as server:
        status, headers, _ = server.ask("POST", INFER, BODY, {"Origin": "http://any.example"})
        assert (status, headers["access-control-allow-origin"]) == (200, "*")
