"""Runs the kernels' own sources on the CPU: compiles them with g++ against emulator/device.cuh.

`Emulator.launch` has the signature of `pointcmt.ops.cuda.launching.launch` and stands in for it, so
that the Python backend, the launch plans and the kernels run together, on tensors in main memory.
"""

import ctypes
import hashlib
import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from pointcmt.kernels.calls import Launch, Scalar
from pointcmt.kernels.nvrtc import KERNELS

EMULATOR = Path(__file__).parent / "emulator"
FORWARD, REVERSE, RANDOM = range(3)
FLAGS = ("-std=c++17", "-Og", "-U_FORTIFY_SOURCE", "-ffp-contract=off", "-fPIC", "-shared", "-w")
STANDARD = re.compile(r"#include <\w[\w.]*>\n")
BARRIER = re.compile(r"__sync(?:threads|warp)\(\);")
KERNEL = re.compile(r"__launch_bounds__\((\d+).*\)\s+(\w+)\(")
ENTRY = """
extern "C" const char* run_{name}(const Launch* how, void** arguments) {{
  if (how->given != emulator::count({name})) return "a launch with too few or many arguments";
  return emulator::launch(*how, [](void** a) {{ emulator::call({name}, a); }}, arguments);
}}
"""


class KernelError(AssertionError):
    """The emulated device caught a kernel doing what it must not."""


class _How(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("blocks", "threads", "shared_bytes", "schedule")),
        *((name, ctypes.c_int32) for name in ("races", "inputs", "outputs", "skipped")),
        *((name, ctypes.c_int32) for name in ("fresh", "given")),
        *((name, ctypes.c_uint64) for name in ("seed", "switch_limit")),
        *((name, ctypes.c_void_p) for name in ("base", "bytes")),
    )


@dataclass
class Emulator:
    """A device made of a g++ and some rules.

    Attributes:
        folder: where compiled kernels are kept.
        schedule: FORWARD, REVERSE or RANDOM, the order in which runnable threads are picked.
        seed: of the random schedule and of what shared memory holds at the start.
        races: whether unordered accesses to one element are looked for.
        shared_bytes: of shared memory a block may ask for.
        architecture: 700 or 800, which `__CUDA_ARCH__` the sources see.
        fresh: whether what is written holds nothing that a kernel may read before.
        skipped: the number of a barrier to leave out, see `barriers`.
        mutations: (file name, text, replacement) changes to the sources.
        launches: what was launched so far.
        kernels: what was compiled and loaded so far.
    """

    folder: Path
    schedule: int = FORWARD
    seed: int = 0
    races: bool = True
    shared_bytes: int = 96 * 1024
    architecture: int = 700
    fresh: bool = True
    skipped: int | None = None
    mutations: tuple[tuple[str, str, str], ...] = ()
    switch_limit: int = 2**40
    launches: list[Launch] = field(default_factory=list)
    kernels: dict[Any, tuple[Callable[..., bytes], int]] = field(default_factory=dict)

    def launch(
        self,
        how: Launch,
        reads: Sequence[Tensor],
        writes: Sequence[Tensor],
        scalars: Sequence[Scalar],
    ) -> None:
        """Run a kernel to its end; raises `KernelError` if it did wrong."""
        tensors = [*reads, *writes]
        assert all(tensor.is_contiguous() for tensor in tensors)
        places = [(tensor.data_ptr(), tensor.nbytes) for tensor in tensors]
        self.run(how, places, len(reads), scalars)

    def run(
        self,
        how: Launch,
        places: Sequence[tuple[int, int]],
        inputs: int,
        scalars: Sequence[Scalar],
    ) -> None:
        """Run a kernel on memory given by address and bytes, of which the first are read only."""
        run, most_threads = self._kernel(how)
        assert how.threads % 32 == 0
        assert how.threads <= most_threads
        assert how.shared_bytes <= self.shared_bytes
        self.launches.append(how)
        values = [*(ctypes.c_void_p(address) for address, _ in places), *scalars]
        arguments = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        base = (ctypes.c_void_p * len(places))(*(address for address, _ in places))
        sizes = (ctypes.c_uint64 * len(places))(*(size for _, size in places))
        settings = _How(
            *(how.blocks, how.threads, how.shared_bytes, self.schedule, int(self.races)),
            *(inputs, len(places) - inputs, -1 if self.skipped is None else self.skipped),
            *(int(self.fresh), len(values), self.seed, self.switch_limit),
            *(ctypes.addressof(base), ctypes.addressof(sizes)),
        )
        fault = run(ctypes.byref(settings), arguments)
        if fault:
            raise KernelError(fault.decode())

    def _kernel(self, how: Launch) -> tuple[Callable[..., bytes], int]:
        """The compiled kernel and the most threads that its source allows; kept for next time."""
        changes = (self.architecture, self.skipped, self.mutations)
        key = (how.file, how.kernel, how.defines, changes)
        if key not in self.kernels:
            run: Any = ctypes.CDLL(str(self._build(how)))[f"run_{how.kernel}"]
            run.restype = ctypes.c_char_p
            bounds = KERNEL.findall(self._texts(how)[how.file.name])
            self.kernels[key] = run, min(int(n) for n, name in bounds if name == how.kernel)
        return self.kernels[key]

    def _build(self, how: Launch) -> Path:
        """Compile the kernel unless that very text was compiled before."""
        texts = self._texts(how)
        kernels = sorted({name for _, name in KERNEL.findall(texts[how.file.name])})
        entries = [ENTRY.format(name=name) for name in kernels]
        texts["main.cpp"] = "\n".join([f'#include "{how.file.name}"', *entries])
        defines = [f"-D__CUDA_ARCH__={self.architecture}"]
        defines += [f"-D{name}={value}" for name, value in how.defines]
        flags = [*FLAGS, *defines]
        key = hashlib.sha256(repr((sorted(texts.items()), flags)).encode()).hexdigest()[:24]
        library = self.folder / f"{how.file.stem}-{key}.so"
        if not library.exists():
            flags += ["-include", str(_standard_headers(self.folder))]
            _compile(self.folder / f"{key}-{os.getpid()}", texts, flags, library)
        return library

    def _texts(self, how: Launch) -> dict[str, str]:
        """The kernels' sources, changed as asked, with the emulator's device.cuh for CUDA's."""
        texts = {path.name: path.read_text() for path in [*KERNELS.iterdir(), how.file]}
        for name, text, replacement in self.mutations:
            assert texts[name].count(text) == 1, f"{text!r} must occur once in {name}"
            texts[name] = texts[name].replace(text, replacement)
        if self.skipped is not None:
            texts = _number_barriers(texts)
        return texts | {path.name: path.read_text() for path in EMULATOR.iterdir()}


def barriers() -> list[str]:
    """Where each barrier stands in the kernels' sources; its place in the list is its number."""
    return [
        f"{path.name}:{line}"
        for path in _sources()
        for line, text in enumerate(path.read_text().splitlines(), 1)
        if BARRIER.search(text)
    ]


def _sources() -> list[Path]:
    return sorted(path for path in KERNELS.iterdir() if path.name != "device.cuh")


def _number_barriers(texts: dict[str, str]) -> dict[str, str]:
    number = itertools.count()
    numbered = {
        path.name: BARRIER.sub(
            lambda found: f"if (emulator::keeps_barrier({next(number)})) {found[0]}",
            texts[path.name],
        )
        for path in _sources()
    }
    return texts | numbered


def _standard_headers(folder: Path) -> Path:
    """What the emulator includes of C++, compiled once: reading it is half of each compilation."""
    header = folder / "standard.h"
    compiled = folder / "standard.h.gch"
    if not compiled.exists():
        own = "".join(path.read_text() for path in sorted(EMULATOR.iterdir()))
        fresh = folder / f"standard-{os.getpid()}"
        fresh.write_text("".join(STANDARD.findall(own)))
        made = fresh.with_suffix(".gch")
        command = ["g++", *FLAGS, "-x", "c++-header", str(fresh), "-o", str(made)]
        subprocess.run(command, check=True)
        fresh.rename(header)
        made.rename(compiled)
    return header


def _compile(scratch: Path, texts: dict[str, str], flags: list[str], library: Path) -> None:
    scratch.mkdir()
    for name, text in texts.items():
        (scratch / name).write_text(text)
    command = ["g++", *flags, str(scratch / "main.cpp"), "-o", str(scratch / "kernel.so")]
    subprocess.run(command, check=True)
    (scratch / "kernel.so").rename(library)
    shutil.rmtree(scratch)


def require_compiler() -> None:
    """Skip where there is no g++, except in CI, where there must be one."""
    if shutil.which("g++") is None:
        if os.environ.get("CI"):
            pytest.fail("g++ is missing: CI must run the emulated kernels")
        pytest.skip("no g++ here to compile the emulated kernels with")
