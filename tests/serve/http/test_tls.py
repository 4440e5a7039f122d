"""TLS, as an operator turns it on."""

import shutil
import socket
import ssl
import subprocess
import time
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from pointcmt_serve.commands.serve import main
from tests.serve.http.test_command import post, serving

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")


def pair(folder: Path, *protection: str) -> tuple[Path, Path]:
    """A certificate and its key, which is encrypted if `protection` says so."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    made = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:::1"]
    files = ["-keyout", str(key), "-out", str(certificate), *(protection or ("-nodes",))]
    subprocess.run(["openssl", "req", *made, *names, *files], check=True, capture_output=True)
    return certificate, key


def test_tls_over_ipv6(tiny_folder: Path, tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6")
    certificate, key = pair(tmp_path)
    secure = ("--tls-cert", certificate, "--tls-key", key)
    with serving(tmp_path / "log", tiny_folder, "--host", "::1", "--port", 0, *secure) as command:
        assert command.first.startswith("https://[::1]:")
        context = ssl.create_default_context(cafile=str(certificate))
        connection = HTTPSConnection("::1", command.port, timeout=20, context=context)
        assert post(connection)[0] == 200
        connection.close()
        assert command.stop() == 0


def test_a_silent_connection_is_ended(tiny_folder: Path, tmp_path: Path) -> None:
    certificate, key = pair(tmp_path)
    secure = ("--tls-cert", certificate, "--tls-key", key, "--header-timeout", 0.5)
    with (
        serving(tmp_path / "log", f"tiny={tiny_folder}", "--port", 0, *secure) as command,
        socket.create_connection(("127.0.0.1", command.port), timeout=20) as silent,
    ):
        start = time.monotonic()
        assert silent.recv(100) == b""
        assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("mismatched", "no PEM certificate and its private key"),
        ("junk", "no PEM certificate and its private key"),
        ("encrypted", "the private key is encrypted"),
    ],
)
def test_a_key_that_does_not_fit_is_one_sentence(
    tiny_folder: Path, tmp_path: Path, case: str, sentence: str
) -> None:
    protection = ("-passout", "pass:secret") if case == "encrypted" else ()
    certificate, key = pair(tmp_path, *protection)
    if case == "junk":
        key.write_text("no key")
    if case == "mismatched":
        (tmp_path / "other").mkdir()
        _, key = pair(tmp_path / "other")
    words = [str(tiny_folder), "--port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert sentence in last
