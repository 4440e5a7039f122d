"""Launching, against a stand-in for NVIDIA's driver library that writes down what it is told."""

import ctypes
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pointcmt.ops.cuda import driver
from tests.ops.cuda.emulation import require_compiler

LIBCUDA = r"""
#include <cstdio>
#include <cstring>
extern "C" {
char told[4096];
int failing = 0;
int say(const char* text) { std::strcat(told, text); std::strcat(told, "\n"); return 0; }
int cuDeviceGet(int* device, int ordinal) { *device = ordinal + 40; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 97 && device == 43 ? 98304 : -1;
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = reinterpret_cast<void*>(0x7f0000000000l + device);
  return 0;
}
int cuCtxPushCurrent_v2(void* context) {
  return say(context == reinterpret_cast<void*>(0x7f000000002bl) ? "push" : "wrong context");
}
int cuCtxPopCurrent_v2(void** context) { *context = nullptr; return say("pop"); }
int cuModuleLoadData(void** module, const void* image) {
  *module = reinterpret_cast<void*>(0x7f1111111111l);
  return say(std::memcmp(image, "an\0image", 8) ? "wrong image" : "load");
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  *function = reinterpret_cast<void*>(0x7f2222222222l);
  return say(module == reinterpret_cast<void*>(0x7f1111111111l) ? name : "wrong module");
}
int cuFuncSetAttribute(void* function, int attribute, int value) {
  char text[99];
  std::snprintf(text, 99, "attribute %d = %d", attribute, value);
  return say(function == reinterpret_cast<void*>(0x7f2222222222l) ? text : "wrong function");
}
int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                   unsigned bz, unsigned shared, void* stream, void** arguments, void** extra) {
  char text[300];
  std::snprintf(text, 300, "grid %u %u %u block %u %u %u shared %u stream %p", gx, gy, gz, bx, by,
                bz, shared, stream);
  say(text);
  std::snprintf(text, 300, "%p %p %d %lld %g", *static_cast<void**>(arguments[0]),
                *static_cast<void**>(arguments[1]), *static_cast<int*>(arguments[2]),
                *static_cast<long long*>(arguments[3]), *static_cast<float*>(arguments[4]));
  say(text);
  if (extra || function != reinterpret_cast<void*>(0x7f2222222222l)) say("wrong");
  return failing;
}
int cuGetErrorName(int error, const char** name) {
  *name = error == 701 ? "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES" : "?";
  return 0;
}
}
"""
HOW = driver.Launch("ball_query", (), 5, 64, 1000)
SCALARS: list[driver.Scalar] = [ctypes.c_int(-7), ctypes.c_longlong(2**40), ctypes.c_float(0.25)]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ctypes.CDLL]:
    """The stand-in, serving a GPU of index 3."""
    require_compiler()
    (tmp_path / "cuda.cpp").write_text(LIBCUDA)
    command = ["g++", "-shared", "-fPIC", "cuda.cpp", "-o", "libcuda.so"]
    subprocess.run(command, check=True, cwd=tmp_path)
    fake = ctypes.CDLL(str(tmp_path / "libcuda.so"))
    monkeypatch.setattr(driver, "_library", lambda: fake)
    monkeypatch.setattr(driver, "compile_kernel", lambda *_: b"an\0image")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    stream = SimpleNamespace(cuda_stream=0x7F3333333333)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
    caches = [driver.shared_limit, driver._function, driver._primary_context, driver._handle]
    for cache in caches:
        cache.cache_clear()
    yield fake
    for cache in caches:
        cache.cache_clear()


def tensor_at(address: int) -> torch.Tensor:
    """What `launch` asks of a tensor on the GPU of index 3."""
    device = torch.device("cuda", 3)
    return SimpleNamespace(device=device, data_ptr=lambda: address)  # type: ignore[return-value]


def told(library: ctypes.CDLL) -> list[str]:
    text = (ctypes.c_char * 4096).in_dll(library, "told")
    return text.value.decode().splitlines()


def test_a_launch_reaches_the_driver_with_every_argument_in_place(library: ctypes.CDLL) -> None:
    driver.launch(HOW, [tensor_at(0x7F4444444440)], [tensor_at(0x7F5555555550)], SCALARS)
    assert told(library) == [
        "push",
        "load",
        "ball_query",
        "attribute 8 = 98304",
        "grid 5 1 1 block 64 1 1 shared 1000 stream 0x7f3333333333",
        "0x7f4444444440 0x7f5555555550 -7 1099511627776 0.25",
        "pop",
    ]


def test_a_kernel_is_loaded_once(library: ctypes.CDLL) -> None:
    for _ in range(3):
        driver.launch(HOW, [tensor_at(64)], [tensor_at(64)], SCALARS)
    assert told(library).count("load") == 1


def test_a_failed_launch_is_named_and_leaves_the_context(library: ctypes.CDLL) -> None:
    ctypes.c_int.in_dll(library, "failing").value = 701
    with pytest.raises(RuntimeError, match="CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"):
        driver.launch(HOW, [tensor_at(64)], [tensor_at(64)], SCALARS)
    assert told(library)[-1] == "pop"
