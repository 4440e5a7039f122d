"""Downloads from a server that cuts, stalls, lies and sends the wrong thing."""

import hashlib
import io
import json
import re
import zipfile

import numpy as np
import pytest

from pointcmt.data.catalog import CATALOG, PICTURES
from pointcmt.errors import InputError
from pointcmt.fetch import download as module
from pointcmt.fetch import transfer
from pointcmt.fetch.mirrors import Archive, Mirror
from tests.fetch.faulty_server import serve


def zipped(seed=0):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("set/train.bin", np.random.default_rng(seed).bytes(600_000))
        archive.writestr("set/readme.txt", "hello")
    return content.getvalue()


BODY = zipped()
MD5 = "md5:" + hashlib.md5(BODY, usedforsecurity=False).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server():
    with serve(BODY) as (address, state):
        yield address, state


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """No test waits: the seconds between attempts are collected instead."""
    collected = []
    monkeypatch.setattr(transfer.time, "sleep", collected.append)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10**12}))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return collected


def described(*mirrors, gigabytes=0.001):
    return Archive("toy_folder", "train.bin", "https://example.org/toy", mirrors, gigabytes)


def download(archive, root, **options):
    return module.download("toy", archive, root, **options)


def toy(address, digest=MD5, *names):
    return described(*(Mirror(f"{address}/{name}", digest) for name in names or ["a.zip"]))


def is_whole(folder):
    with zipfile.ZipFile(io.BytesIO(BODY)) as archive:
        expected = {name.removeprefix("set/"): archive.read(name) for name in archive.namelist()}
    return {path.name: path.read_bytes() for path in folder.iterdir()} == expected


def leftovers(root):
    return sorted(
        p.name for p in root.rglob("*") if p.name.endswith((".part", ".json", ".unpacking"))
    )


@pytest.mark.parametrize("digest", [MD5, SHA256, None], ids=["md5", "sha256", "none"])
def test_a_data_set_arrives_and_nothing_is_left_over(server, tmp_path, digest):
    folder = download(toy(server[0], digest), tmp_path)
    assert folder == tmp_path / "toy_folder"
    assert is_whole(folder)
    assert leftovers(tmp_path) == ["recorded.json"]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    download(toy(server[0]), tmp_path)
    said = []
    download(toy(server[0]), tmp_path, say=said.append)
    assert len(server[1].seen) == 1
    assert "already there" in said[0]


def test_a_cut_connection_is_resumed_at_the_byte(server, tmp_path, waits):
    address, state = server
    state.faults["/a.zip"] = ["cut:100000", "cut:200000", "cut:1"]
    assert is_whole(download(toy(address), tmp_path))
    assert [ranged for _, ranged in state.seen] == [
        None,
        "bytes=100000-",
        "bytes=300000-",
        "bytes=300001-",
    ]
    assert state.sent == len(BODY)
    assert waits == [1.0, 1.0, 1.0]  # progress was made each time, so the wait does not grow


def test_a_later_run_goes_on_where_the_first_gave_up(server, tmp_path, waits):
    address, state = server
    state.faults["/a.zip"] = ["cut:150000"] + ["cut:0"] * 6
    with pytest.raises(InputError, match="goes on where it stopped"):
        download(toy(address), tmp_path)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert is_whole(download(toy(address), tmp_path))
    assert state.seen[-1] == ("/a.zip", "bytes=150000-")
    assert state.sent == len(BODY)


def test_a_file_that_was_whole_but_not_unpacked_is_not_fetched_again(server, tmp_path, monkeypatch):
    address, state = server

    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "unpack", killed)
        with pytest.raises(KeyboardInterrupt):
            download(toy(address), tmp_path)
    assert is_whole(download(toy(address), tmp_path))
    assert state.sent == len(BODY)


def test_a_stalled_connection_counts_as_cut(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "STALL", 1.0)
    server[1].faults["/a.zip"] = ["stall:1000"]
    assert is_whole(download(toy(server[0]), tmp_path))
    assert server[1].seen[-1][1] == "bytes=1000-"
    assert server[1].release.is_set() is False  # the server had not let go by itself


def test_a_server_without_ranges_is_asked_again_from_the_start(server, tmp_path):
    server[1].faults["/a.zip"] = ["plain:100000", "plain"]
    assert is_whole(download(toy(server[0]), tmp_path))
    assert [ranged for _, ranged in server[1].seen] == [None, None]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    address, state = server
    state.faults["/a.zip"] = ["cut:100000"] + ["status:503"] * 6
    with pytest.raises(InputError):
        download(toy(address), tmp_path)
    state.faults.clear()
    state.body, state.tag = zipped(seed=1), '"v2"'
    folder = download(toy(address, None), tmp_path)
    assert (folder / "train.bin").read_bytes() == np.random.default_rng(1).bytes(600_000)


@pytest.mark.parametrize("fault", ["misplaced", "muddled"])
def test_pieces_that_do_not_fit_are_fetched_once_more_in_one(server, tmp_path, fault):
    server[1].faults["/a.zip"] = ["cut:100000", fault]
    assert is_whole(download(toy(server[0]), tmp_path))
    assert server[1].seen[-1][1] is None


@pytest.mark.parametrize("second", ["misplaced", "status:416"])
def test_a_server_that_makes_one_begin_again_and_again_is_given_up(server, tmp_path, second):
    server[1].faults["/a.zip"] = ["cut:100000", second] * 100
    with pytest.raises(InputError, match="6 times in a row"):
        download(toy(server[0]), tmp_path)
    assert len(server[1].seen) == 6


def test_a_server_that_gives_a_byte_a_time_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "MOST_ATTEMPTS", 20)
    server[1].faults["/a.zip"] = ["cut:1"] * 100
    with pytest.raises(InputError, match="broke 20 times"):
        download(toy(server[0]), tmp_path)
    assert len(server[1].seen) == 20


def test_a_promise_of_too_many_bytes_ends_at_the_true_end(server, tmp_path):
    server[1].faults["/a.zip"] = ["longer:500"]
    assert is_whole(download(toy(server[0]), tmp_path))
    assert server[1].sent == len(BODY)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("shorter:9", "published is"),
        ("wrong", "no archive"),
        ("page", "a web page instead of the file"),
        ("page:application/zip", "no archive"),
        ("status:404", "answers 404"),
        ("status:403", "answers 403"),
        ("endless", "longer than the 1500000 bytes expected"),
        ("longer:9999999", "more than the 1500000 expected"),
        ("moved:ftp://127.0.0.1/a.zip", "cannot be reached|another protocol"),
    ],
)
def test_the_next_source_is_tried(server, tmp_path, fault, reason):
    address, state = server
    state.faults["/a.zip"] = [fault] * 7
    said = []
    folder = download(toy(address, MD5, "a.zip", "b.zip"), tmp_path, say=said.append)
    assert is_whole(folder)
    assert said[0] == f"fetching {address}/a.zip"
    assert re.search(reason, said[1])
    assert said[2] == f"fetching {address}/b.zip"
    assert leftovers(tmp_path) == ["recorded.json"]


def test_a_sound_archive_of_something_else_is_refused(server, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("other/thing.txt", "x")
    server[1].body = content.getvalue()
    with pytest.raises(InputError, match=r"holds no train\.bin"):
        download(toy(server[0], None), tmp_path)
    assert not (tmp_path / "toy_folder").exists()


def test_a_busy_server_is_given_the_time_it_asks_for(server, tmp_path, waits):
    server[1].faults["/a.zip"] = ["status:503", "status:500", "status:503"]
    assert is_whole(download(toy(server[0]), tmp_path))
    assert waits == [7.0, 2.0, 7.0]


def test_a_server_that_is_not_there_is_given_up_soon(tmp_path, waits):
    with pytest.raises(InputError, match=r"cannot be reached .*, 3 times in a row"):
        download(described(Mirror("http://127.0.0.1:9/c.zip", MD5)), tmp_path)
    assert waits == [1.0, 2.0]


def test_a_file_of_unknown_size_may_fill_the_disk_but_not_more(server, tmp_path, monkeypatch):
    archive = described(*toy(server[0]).mirrors, gigabytes=None)
    usage = type("Usage", (), {"free": len(BODY) - 1})
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(InputError, match="more than the"):
            download(archive, tmp_path)
    assert is_whole(download(archive, tmp_path))


def test_a_file_of_unknown_size_has_a_limit_of_its_own(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "UNKNOWN_GIGABYTES", 0.0005)
    with pytest.raises(InputError, match="more than the 500000 expected"):
        download(described(*toy(server[0]).mirrors, gigabytes=None), tmp_path)


def test_a_redirect_is_followed(server, tmp_path):
    server[1].faults["/a.zip"] = ["moved:/elsewhere/b.zip"]
    assert is_whole(download(toy(server[0]), tmp_path))


def test_when_all_sources_fail_the_manual_steps_are_told(server, tmp_path):
    address, state = server
    state.faults = {"/a.zip": ["status:404"], "/b.zip": ["page"]}
    dead = Mirror("http://127.0.0.1:9/c.zip", MD5)
    archive = described(*toy(address, MD5, "a.zip", "b.zip").mirrors, dead)
    with pytest.raises(InputError) as caught:
        download(archive, tmp_path)
    message = str(caught.value)
    for part in (
        f"{address}/a.zip: the server answers 404",
        f"{address}/b.zip: the server answers with a web page",
        "c.zip: cannot be reached",
        "https://example.org/toy",
        f"pointcmt-data download toy --root {tmp_path} --from-archive a.zip",
    ):
        assert part in message


def test_a_file_without_published_digest_is_recorded_and_must_stay_the_same(server, tmp_path):
    address, state = server
    archive = toy(address, None)
    folder = download(archive, tmp_path)
    record = json.loads((tmp_path / ".downloads" / "recorded.json").read_text())
    assert record[f"{address}/a.zip"]["sha256"] == hashlib.sha256(BODY).hexdigest()
    folder.rename(tmp_path / "moved_away")
    state.body, state.tag = zipped(seed=1), '"v2"'
    with pytest.raises(InputError, match=r"was recorded on .*recorded\.json; remove that entry"):
        download(archive, tmp_path)
    (tmp_path / ".downloads" / "recorded.json").unlink()
    download(archive, tmp_path)


def test_progress_tells_bytes_and_total(server, tmp_path):
    calls = []
    server[1].faults["/a.zip"] = ["cut:100000"]
    download(toy(server[0]), tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_a_small_disk_is_refused_before_a_byte_is_fetched(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"needs at least .* GB, but only 0\.0 GB are free"):
        download(toy(server[0]), tmp_path)
    assert server[1].seen == []


def test_a_disk_needs_room_for_archive_and_folder_less_what_is_there(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 2 * 10**6 - 1})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    archive = toy(server[0])
    with pytest.raises(InputError, match="needs at least"):
        download(archive, tmp_path)
    (part,) = (module._part(tmp_path, mirror) for mirror in archive.mirrors)
    part.write_bytes(b"0")
    assert is_whole(download(archive, tmp_path))


def test_a_disk_that_fills_up_is_told_and_not_blamed_on_the_source(server, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "_receive", full)
    with pytest.raises(InputError, match=r"No space left on device.*is kept"):
        download(toy(server[0], MD5, "a.zip", "b.zip"), tmp_path)
    assert len(server[1].seen) == 1


def test_own_archive_needs_no_network(tmp_path):
    (tmp_path / "mine.zip").write_bytes(BODY)
    folder = download(described(), tmp_path / "root", from_archive=tmp_path / "mine.zip")
    assert is_whole(folder)
    assert (tmp_path / "mine.zip").exists()


def test_own_archive_must_exist(tmp_path):
    with pytest.raises(InputError, match=r"none\.zip: no such file"):
        download(described(), tmp_path, from_archive=tmp_path / "none.zip")


def test_only_http_is_spoken(tmp_path):
    with pytest.raises(InputError, match="neither http nor https"):
        download(described(Mirror("file:///etc/passwd")), tmp_path)


def test_an_invalid_certificate_is_named(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        error = transfer.ssl.SSLCertVerificationError(1, "verify failed")
        error.verify_message = "certificate has expired"
        raise transfer.urllib.error.URLError(error)

    monkeypatch.setattr(transfer.urllib.request, "urlopen", refuse)
    with pytest.raises(InputError, match=r"certificate is not valid \(certificate has expired\)"):
        download(toy("https://example.org"), tmp_path)


def test_the_table_is_sound():
    archives = {data.archive for data in CATALOG.values() if data.archive} | {*PICTURES.values()}
    for archive in archives:
        assert archive.mirrors
        assert "/" not in archive.folder
        for mirror in archive.mirrors:
            assert mirror.url.startswith(("https://", "http://"))
            assert mirror.url.endswith((".zip", ".tar", ".tar.gz"))
            if mirror.digest:
                kind, _, value = mirror.digest.partition(":")
                assert len(value) == 2 * hashlib.new(kind).digest_size
            if mirror.url.startswith("http://"):  # nothing vouches for the bytes but a digest
                assert mirror.digest or any(other.digest for other in archive.mirrors)
    assert len({archive.folder for archive in archives}) == len(archives)
