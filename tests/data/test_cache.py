import os

import numpy as np
import pytest

from pointcmt.data.cache import Cache
from pointcmt.errors import InputError


def load(entry):
    path = entry[1]
    if path.read_text() == "bad":
        raise InputError(f"{path}: bad")
    return np.full((4, 3), float(path.read_text()), np.float32)


@pytest.fixture
def groups(tmp_path):
    made = {}
    for name, values in {"a": [1, 2], "b": [3], "c": [4, 5]}.items():
        made[name] = [(f"{name}{value}", tmp_path / f"{name}{value}") for value in values]
        for (_, path), value in zip(made[name], values, strict=True):
            path.write_text(str(value))
    return made


def test_arrays_are_prepared_once_and_then_memory_mapped(tmp_path, groups):
    calls = []

    def counted(path):
        calls.append(path)
        return load(path)

    store = Cache(tmp_path, "s", tmp_path / "cache")
    first = store.rows(groups, counted)
    second = store.rows(groups, counted)
    assert [a.shape for a in first] == [(2, 4, 3), (1, 4, 3), (2, 4, 3)]
    assert [a[:, 0, 0].tolist() for a in second] == [[1, 2], [3], [4, 5]]
    assert len(calls) == 5
    assert all(isinstance(a, np.memmap) for a in second)


def test_an_empty_file_is_prepared_anew(tmp_path, groups):
    store = Cache(tmp_path, "s", tmp_path / "cache")
    store.rows(groups, load)
    for path in (tmp_path / "cache").rglob("*.npy"):
        path.write_bytes(b"")
    assert [a[:, 0, 0].tolist() for a in store.rows(groups, load)] == [[1, 2], [3], [4, 5]]


def test_an_interrupted_preparation_keeps_what_is_done_and_goes_on(tmp_path, groups):
    groups["c"][1][1].write_text("bad")
    with pytest.raises(InputError, match="bad"):
        Cache(tmp_path, "s", tmp_path / "cache").rows(groups, load)
    kept = sorted(p.name[0] for p in (tmp_path / "cache").rglob("*.npy"))
    assert kept == ["a", "b"]
    groups["c"][1][1].write_text("7")
    calls = []
    done = Cache(tmp_path, "s", tmp_path / "cache").rows(
        groups, lambda p: calls.append(p) or load(p)
    )
    assert calls == groups["c"]
    assert done[2][:, 0, 0].tolist() == [4, 7]


@pytest.mark.parametrize(
    ("id_", "text", "time"), [("b3", "7", 2), ("b3", "30", 1), ("other", "7", 1)]
)
def test_a_source_of_another_time_size_or_name_is_prepared_anew(tmp_path, groups, id_, text, time):
    store, path = Cache(tmp_path, "s", tmp_path / "cache"), groups["b"][0][1]
    os.utime(path, (1, 1))
    store.rows(groups, load)
    path.write_text(text)
    os.utime(path, (time, time))
    assert store.rows({**groups, "b": [(id_, path)]}, load)[1][0, 0, 0] == float(text)


def test_other_settings_are_prepared_anew(tmp_path, groups):
    Cache(tmp_path, "s", tmp_path / "cache").rows(groups, load)
    calls = []
    Cache(tmp_path, "other", tmp_path / "cache").rows(groups, lambda p: calls.append(p) or load(p))
    assert len(calls) == 5


def test_a_damaged_cache_is_prepared_anew(tmp_path, groups):
    store = Cache(tmp_path, "s", tmp_path / "cache")
    store.rows(groups, load)
    for path in (tmp_path / "cache").rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:50])
    assert store.rows(groups, load)[0][0, 0, 0] == 1


def test_workers_give_the_same_arrays(tmp_path, groups):
    here = Cache(tmp_path, "s", tmp_path / "one").rows(groups, load)
    there = Cache(tmp_path, "s", tmp_path / "two", workers=2).rows(groups, load)
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))


def test_a_worker_passes_the_error_on(tmp_path, groups):
    groups["a"][0][1].write_text("bad")
    with pytest.raises(InputError, match="bad"):
        Cache(tmp_path, "s", tmp_path / "cache", workers=2).rows(groups, load)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, groups, monkeypatch):
    def full(file, array, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pointcmt.data.cache.np.save", full)
    with pytest.raises(InputError, match="No space left"):
        Cache(tmp_path, "s", tmp_path / "cache").rows(groups, load)
    assert list((tmp_path / "cache").rglob("*.npy")) == []


def test_a_missing_source_is_named(tmp_path, groups):
    groups["b"][0][1].unlink()
    with pytest.raises(InputError, match="b3: cannot be read"):
        Cache(tmp_path, "s", tmp_path / "cache").rows(groups, load)


def test_the_users_cache_folder_is_taken_and_two_data_sets_do_not_meet_in_it(
    tmp_path, groups, monkeypatch
):
    monkeypatch.delenv("POINTCMT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    for place in ("one/data", "two/data"):
        Cache(tmp_path / place, "s").rows(groups, load)
    kept = {path.parent for path in (tmp_path / "mine/pointcmt/clouds").glob("data-*/*.npy")}
    assert len(kept) == 2


def test_a_cache_that_cannot_be_written_names_the_way_to_another(tmp_path, groups):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"data\.cache=FOLDER or --cache FOLDER"):
        Cache(tmp_path, "s", tmp_path / "file").rows(groups, load)
