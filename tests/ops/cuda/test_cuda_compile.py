"""The kernels compile for the oldest and the newest GPU we name, with NVRTC and without a GPU."""

import os
from pathlib import Path

import pytest

from benchmarks.ops_parts import released_auction
from pointcmt.kernels import calls, nvrtc
from pointcmt.kernels.calls import Launch
from pointcmt.ops.cuda import matching

VOLTA, HOPPER = (7, 0), (9, 0)
BALL_QUERY = nvrtc.KERNELS / "ball_query.cu"
USUAL = [
    calls.farthest_point_sample(32, 1024, 512).how,
    calls.ball_query(32, 1024, 512, 0.2, 32).how,
    calls.knn(32, 1024, 1024, 3, 20).how,
    calls.gather_points(32, 1024, 6, 512).how,
    matching.plan(32, 1024, False, 96 * 1024)[0],
]
RARE = [
    calls.farthest_point_sample(1, 8192, 1).how,
    calls.farthest_point_sample(1, 10000, 1).how,
    calls.knn(1, 2000, 1, 3, 2000).how,
    calls.gather_points(32, 1024, 6).how,
    *(matching.plan(1, points, False, 96 * 1024)[0] for points in (3000, 5000)),
    matching.plan(1, 1024, True, 96 * 1024)[0],
]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that holds nothing yet; skips where there is no NVRTC, except in CI."""
    if not nvrtc.available():
        if os.environ.get("CI"):
            pytest.fail("NVRTC is missing: CI must compile the kernels")
        pytest.skip('no NVRTC here: pip install "pointcmt[cuda]"')
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nvrtc.compile_kernel.cache_clear()
    return tmp_path


@pytest.mark.parametrize("how", USUAL, ids=lambda how: how.kernel)
@pytest.mark.parametrize("capability", [VOLTA, HOPPER], ids=["sm_70", "sm_90"])
def test_each_kernel_compiles_for_each_architecture(
    how: Launch, capability: tuple[int, int]
) -> None:
    try:
        image = nvrtc.compile_kernel(how.file, how.defines, capability)
    except RuntimeError as error:
        pytest.skip(str(error))  # since 13, NVRTC knows no Volta
    assert image.startswith(b"\x7fELF")
    assert f".text.{how.kernel}\0".encode() in image  # the name the driver looks up


@pytest.mark.parametrize("how", RARE, ids=lambda how: f"{how.kernel}-{how.defines}")
def test_each_variant_for_large_input_compiles(how: Launch) -> None:
    assert nvrtc.compile_kernel(how.file, how.defines, HOPPER).startswith(b"\x7fELF")


def test_the_benchmark_of_the_released_auction_compiles() -> None:
    image = nvrtc.compile_kernel(released_auction.SOURCE, (), HOPPER)
    names = (b"clear", b"mark", b"sum", b"list", b"bid", b"choose", b"award")
    assert all(b".text." + name + b"\0" in image for name in names)


def test_a_gpu_newer_than_nvrtc_gets_portable_code() -> None:
    image = nvrtc.compile_kernel(BALL_QUERY, (), (99, 0))
    assert b".entry ball_query" in image
    assert b".target sm_" in image


def test_multiplications_and_additions_are_not_fused() -> None:
    image = nvrtc.compile_kernel(BALL_QUERY, (), (99, 0))
    assert b"mul.rn.f32" in image
    assert b"fma." not in image


def test_a_gpu_too_old_for_nvrtc_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"compute capability 2\.0"):
        nvrtc.compile_kernel(BALL_QUERY, (), (2, 0))


def test_a_source_that_does_not_compile_shows_the_log() -> None:
    with pytest.raises(RuntimeError, match=r"emd\.cu does not compile[\s\S]*COORDINATE"):
        nvrtc.compile_kernel(nvrtc.KERNELS / "emd.cu", (("SHARED_TIERS", 2),), HOPPER)


def test_compiled_kernels_are_kept_on_disk(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = nvrtc.compile_kernel(BALL_QUERY, (), HOPPER)
    nvrtc.compile_kernel.cache_clear()
    monkeypatch.setattr(nvrtc, "_compile", lambda *_: pytest.fail("compiled again"))
    assert nvrtc.compile_kernel(BALL_QUERY, (), HOPPER) == image
    assert [path.stat().st_size for path in empty_cache.rglob("*.bin")] == [len(image)]


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert nvrtc.compile_kernel(BALL_QUERY, (), HOPPER).startswith(b"\x7fELF")


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert nvrtc.compile_kernel(BALL_QUERY, (), HOPPER).startswith(b"\x7fELF")
