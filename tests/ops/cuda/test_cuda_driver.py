"""Launching by `cuda-bindings`, on a stand-in for NVIDIA's driver that writes down what it is told.

The stand-in takes the driver's name, so another process loads it.
"""

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pointcmt.kernels import driver
from pointcmt.kernels.calls import Launch, Scalar
from pointcmt.ops.cuda import launching
from tests.ops.cuda.emulation import require_compiler

LIBCUDA = r"""
#include <dlfcn.h>
#include <cstdio>
#include <cstring>
extern "C" {
char told[4096];
int failing = 0;
int say(const char* text) { std::strcat(told, text); std::strcat(told, "\n"); return 0; }
int cuGetProcAddress_v2(const char* name, void** found, int, unsigned long, int*) {
  *found = dlsym(RTLD_DEFAULT, name);
  return *found ? 0 : 500;
}
int cuDeviceGet(int* device, int ordinal) { *device = ordinal + 40; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = device != 43 ? -1 : attribute == 97 ? 98304 : attribute == 75 ? 8 : 6;
  return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
  *context = reinterpret_cast<void*>(0x7f0000000000l + device);
  return 0;
}
int cuCtxPushCurrent(void* context) {
  return say(context == reinterpret_cast<void*>(0x7f000000002bl) ? "push" : "wrong context");
}
int cuCtxPopCurrent(void** context) { *context = nullptr; return say("pop"); }
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
}
"""
LAUNCHING = """
import ctypes, json, sys

library = ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
from pointcmt.kernels import driver
from pointcmt.kernels.calls import Launch

asked = []
driver.compile_kernel = lambda *how: asked.append(how[2]) or b"an\\0image"
scalars = [ctypes.c_int(-7), ctypes.c_longlong(2**40), ctypes.c_float(0.25)]
for failing in (0, 0, 701):
    ctypes.c_int.in_dll(library, "failing").value = failing
    try:
        driver.launch(
            Launch("ball_query", (), 5, 64, 1000), 3, 0x7F3333333333, [0x7F4444444440, 0], scalars
        )
    except RuntimeError as error:
        reason = str(error)
told = (ctypes.c_char * 4096).in_dll(library, "told").value.decode().splitlines()
print(json.dumps({"told": told, "asked": asked, "reason": reason}))
"""
LAUNCHED = [
    "push",
    "grid 5 1 1 block 64 1 1 shared 1000 stream 0x7f3333333333",
    "0x7f4444444440 (nil) -7 1099511627776 0.25",
    "pop",
]


def test_a_launch_reaches_the_driver_with_every_argument_in_place(tmp_path: Path) -> None:
    """Three launches of one kernel, which is loaded once; the last of them fails."""
    pytest.importorskip("cuda.bindings.driver")
    require_compiler()
    (tmp_path / "cuda.cpp").write_text(LIBCUDA)
    words = ["g++", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "cuda.cpp", "-o", "libcuda.so"]
    subprocess.run(words, check=True, cwd=tmp_path)
    words = [sys.executable, "-c", LAUNCHING, str(tmp_path / "libcuda.so")]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    loaded = ["push", "load", "ball_query", "attribute 8 = 98304", "pop"]
    assert found["told"] == [*loaded, *LAUNCHED, *LAUNCHED, *LAUNCHED]
    assert found["asked"] == [[8, 6]]
    assert found["reason"] == "the CUDA driver failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"


def test_tensors_are_launched_on_torchs_stream_of_their_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []
    place = torch.device("cuda", 3)

    def tensor_at(address: int) -> torch.Tensor:
        return SimpleNamespace(device=place, data_ptr=lambda: address)  # type: ignore[return-value]

    def stream(device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(cuda_stream=30 if device == place else 0)

    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(driver, "launch", lambda *given: told.extend(given))
    how, scalars = Launch("knn", (), 1, 32), list[Scalar]([ctypes.c_int(4)])
    launching.launch(how, [tensor_at(64)], [tensor_at(128)], scalars)
    assert told == [how, 3, 30, [64, 128], scalars]


@pytest.mark.parametrize("found", [SimpleNamespace(), None])
def test_the_bindings_may_be_missing(
    found: SimpleNamespace | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver.MODULE, found)
    assert driver.available() is bool(found)
