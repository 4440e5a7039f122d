"""Unpacking: what a data set's archive holds comes out, and nothing else ever does."""

import io
import os
import struct
import tarfile
import zipfile

import pytest

from pointcmt.errors import InputError
from pointcmt.fetch import archive as module
from pointcmt.fetch.archive import is_archive, unpack

FILES = {"set/a.txt": b"first", "set/deep/b.bin": bytes(range(256)) * 50}
TARS = ("tar", "tar.gz", "tar.bz2", "tar.xz")


def make(path, files):
    """Write a zip or a tar, by the suffix, from names to contents."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    mode = {"tar": "w", "gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}[path.suffix[1:]]
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def add_link(path, name, points_to, kind=tarfile.SYMTYPE):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, points_to)
        return path
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, points_to
        archive.addfile(info)
    return path


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(archive, target, match):
    """The archive is refused, and neither the target nor anything beside it is left."""
    before = sorted(target.parent.iterdir())
    with pytest.raises(InputError, match=match):
        unpack(archive, target)
    assert sorted(target.parent.iterdir()) == before


@pytest.mark.parametrize("suffix", ["zip", *TARS])
def test_contents_of_the_only_folder_become_the_target(tmp_path, suffix):
    path = make(tmp_path / f"x.{suffix}", FILES)
    assert unpack(path, tmp_path / "out" / "set") == 2
    assert contents(tmp_path / "out" / "set") == {
        "a.txt": b"first",
        "deep/b.bin": FILES["set/deep/b.bin"],
    }
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "set"]


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_an_archive_without_a_common_folder_is_unpacked_as_it_is(tmp_path, suffix):
    path = make(tmp_path / f"x.{suffix}", {"chair/1.txt": b"1", "table/2.txt": b"2"})
    unpack(path, tmp_path / "set")
    assert contents(tmp_path / "set") == {"chair/1.txt": b"1", "table/2.txt": b"2"}


def test_what_macos_adds_is_left_out(tmp_path):
    extra = {"__MACOSX/set/._a.txt": b"x", "set/.DS_Store": b"x", "set/._a.txt": b"x"}
    unpack(make(tmp_path / "x.zip", {**FILES, **extra}), tmp_path / "set")
    assert set(contents(tmp_path / "set")) == {"a.txt", "deep/b.bin"}


@pytest.mark.parametrize("suffix", ["zip", "tar"])
@pytest.mark.parametrize(
    "name", ["../evil", "set/../../evil", "/evil", "C:/evil", "..\\evil", "set/a:b"]
)
def test_no_path_leaves_the_target(tmp_path, suffix, name):
    path = make(tmp_path / f"x.{suffix}", {**FILES, name: b"evil"})
    refused(path, tmp_path / "set", "would leave the folder")
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("suffix", ["zip", "tar"])
def test_links_are_refused(tmp_path, suffix):
    path = add_link(make(tmp_path / f"x.{suffix}", FILES), "set/link", "/etc/passwd")
    refused(path, tmp_path / "set", "'set/link' is a link or a device")


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_hard_links_and_devices_are_refused(tmp_path, kind):
    path = add_link(make(tmp_path / "x.tar", FILES), "set/odd", "set/a.txt", kind)
    refused(path, tmp_path / "set", "'set/odd' is a link or a device")


def test_a_link_cannot_be_written_through(tmp_path):
    path = add_link(tmp_path / "x.tar", "set/door", "../..")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("set/door/evil")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    refused(path, tmp_path / "set", "is a link")


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_bombs_are_refused_before_they_fill_the_disk(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(module, "FREE_SIZE", 1000)
    path = make(tmp_path / f"x.{suffix}", {"set/bomb": bytes(3_000_000)})
    assert path.stat().st_size * 100 < 3_000_000
    refused(path, tmp_path / "set", "unpacks to more than 100 times its size")


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FREE_SIZE", 1000)
    path = make(tmp_path / "x.zip", {"set/bomb": bytes(3_000_000)})
    true, lie = struct.pack("<I", 3_000_000), struct.pack("<I", 10)
    path.write_bytes(path.read_bytes().replace(true, lie))
    refused(path, tmp_path / "set", "damaged|times its size")


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 5)
    path = make(tmp_path / "x.zip", {f"set/{i}": b"" for i in range(6)})
    refused(path, tmp_path / "set", "more than 5 files")


def test_a_file_that_appears_twice_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("set/a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("set/a", b"2")
    refused(tmp_path / "x.zip", tmp_path / "set", "'set/a' appears twice")


def test_a_path_through_a_file_is_refused(tmp_path):
    refused(
        make(tmp_path / "x.tar", {"a": b"", "a/b": b""}), tmp_path / "set", "cannot be unpacked"
    )


@pytest.mark.parametrize("suffix", ["zip", *TARS])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_archives_are_refused(tmp_path, suffix, share):
    files = {f"set/{i}": os.urandom(20_000) for i in range(5)}
    path = make(tmp_path / f"x.{suffix}", files)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    refused(path, tmp_path / "set", "damaged|neither|cannot be unpacked")


def test_flipped_bytes_in_a_zip_are_noticed(tmp_path):
    path = make(tmp_path / "x.zip", {"set/a": os.urandom(1000), "set/b": b"b"})
    raw = bytearray(path.read_bytes())
    raw[500] ^= 0xFF
    path.write_bytes(raw)
    refused(path, tmp_path / "set", "damaged")


def test_an_encrypted_zip_is_named(tmp_path):
    path = make(tmp_path / "x.zip", {"set/a": b"secret"})
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + offset] |= 1
    path.write_bytes(raw)
    refused(path, tmp_path / "set", "encrypted")


@pytest.mark.parametrize("raw", [b"", b"<!DOCTYPE html><html>not found</html>", bytes(2000)])
def test_what_is_no_archive_is_named(tmp_path, raw):
    (tmp_path / "x.zip").write_bytes(raw)
    assert not is_archive(tmp_path / "x.zip")
    refused(tmp_path / "x.zip", tmp_path / "set", "neither a zip nor a tar")


def test_an_empty_archive_is_refused(tmp_path):
    refused(make(tmp_path / "x.zip", {}), tmp_path / "set", "holds no files|neither")


def test_another_archive_is_refused_by_its_marker(tmp_path):
    path = make(tmp_path / "x.zip", FILES)
    with pytest.raises(InputError, match=r"holds no \*/train/\*\.off"):
        unpack(path, tmp_path / "set", "*/train/*.off")
    assert not (tmp_path / "set").exists()
    unpack(path, tmp_path / "set", "*/*.bin")


def test_an_existing_folder_is_never_touched(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("mine")
    with pytest.raises(InputError, match="already there"):
        unpack(make(tmp_path / "x.zip", FILES), tmp_path / "set")
    assert contents(tmp_path / "set") == {"mine": b"mine"}


def test_a_disk_too_small_is_noticed_beforehand(tmp_path, monkeypatch):
    path = make(tmp_path / "x.zip", FILES)
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    refused(path, tmp_path / "set", "GB are free")


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    path = make(tmp_path / "x.zip", FILES)
    monkeypatch.setattr(module, "_copy", full)
    refused(path, tmp_path / "set", "No space left")
