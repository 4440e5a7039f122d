"""Compiling the kernels for a GPU at run time, with NVIDIA's NVRTC library through its C interface.

NVRTC comes with every CUDA build of torch, or from `pip install "pointcmt[cuda]"`; it needs neither
a toolchain nor, to compile, a GPU. Results are kept in the process and in the user's cache folder.
"""

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.files import write_beside

KERNELS = Path(__file__).parent / "sources"
OPTIONS = ("--std=c++17", "--fmad=false")  # fused multiply-add would change indices
Defines = tuple[tuple[str, str | int], ...]


def available() -> bool:
    """Whether NVRTC is installed."""
    return _path() is not None


@functools.cache
def compile_kernel(source: Path, defines: Defines, capability: tuple[int, int]) -> bytes:
    """Compile a source, which may include the headers in `KERNELS`.

    Args:
        source: the file, such as `KERNELS / "knn.cu"`.
        defines: preprocessor names and values.
        capability: the GPU's compute capability, such as (7, 0).

    Returns:
        Machine code for that GPU, or portable PTX where NVRTC is older than the GPU.

    Raises:
        RuntimeError: NVRTC is missing or too new for the GPU, or the source does not compile.
    """
    options = [*OPTIONS, *(f"-D{name}={value}" for name, value in defines), _target(capability)]
    folder = _cache_folder()
    if folder is None:
        return _compile(source, options)
    cached = folder / f"{source.stem}-{_digest(source, options)}.bin"
    if cached.is_file():
        return cached.read_bytes()
    image = _compile(source, options)
    # a cache that cannot be written costs seconds a process, no more
    with contextlib.suppress(InputError), write_beside(cached) as fresh:
        fresh.write_bytes(image)
    return image


def _target(capability: tuple[int, int]) -> str:
    wanted = capability[0] * 10 + capability[1]
    known = [one for one in _architectures() if one <= wanted]
    if not known:
        raise RuntimeError(f"NVRTC {_version()} does not support compute capability {wanted / 10}")
    return f"--gpu-architecture={'sm' if wanted in known else 'compute'}_{max(known)}"


def _digest(source: Path, options: list[str]) -> str:
    digest = hashlib.sha256(repr((_version(), options)).encode())
    for file in [source, *_headers()]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def _headers() -> list[Path]:
    return sorted(KERNELS.glob("*.cuh"))


def _cache_folder() -> Path | None:
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home, as in some containers
        return None
    return Path(home) / "pointcmt" / "kernels"


def _compile(source: Path, options: list[str]) -> bytes:
    nvrtc = _library()
    headers = _headers()
    program = ctypes.c_void_p()
    _check(
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program),
            source.read_bytes(),
            source.name.encode(),
            len(headers),
            _strings([header.read_bytes() for header in headers]),
            _strings([header.name.encode() for header in headers]),
        )
    )
    try:
        encoded = _strings([option.encode() for option in options])
        if nvrtc.nvrtcCompileProgram(program, len(options), encoded):
            log = _output("ProgramLog", program).decode(errors="replace")
            raise RuntimeError(f"{source.name} does not compile with {' '.join(options)}:\n{log}")
        return _output("CUBIN" if "=sm_" in options[-1] else "PTX", program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _output(what: str, program: ctypes.c_void_p) -> bytes:
    nvrtc = _library()
    size = ctypes.c_size_t()
    _check(getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(getattr(nvrtc, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _strings(values: list[bytes]) -> "ctypes.Array[ctypes.c_char_p]":
    return (ctypes.c_char_p * len(values))(*values)


@functools.cache
def _architectures() -> tuple[int, ...]:
    count = ctypes.c_int()
    _check(_library().nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    architectures = (ctypes.c_int * count.value)()
    _check(_library().nvrtcGetSupportedArchs(architectures))
    return tuple(architectures)


def _version() -> str:
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(_library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def _check(result: int) -> None:
    if result:
        describe = _library().nvrtcGetErrorString
        describe.restype = ctypes.c_char_p
        raise RuntimeError(f"NVRTC failed: {describe(result).decode()}")


@functools.cache
def _library() -> ctypes.CDLL:
    path = _path()
    if path is None:
        raise RuntimeError('NVRTC is missing; pip install "pointcmt[cuda]"')
    return ctypes.CDLL(str(path))


@functools.cache
def _path() -> Path | None:
    """The NVRTC library of the newest CUDA release installed from wheels, or the system's."""
    pattern = "nvrtc64_*.dll" if sys.platform == "win32" else "libnvrtc.so.*"
    spec = importlib.util.find_spec("nvidia")
    roots = list(spec.submodule_search_locations or []) if spec else []
    wheels = [path for root in roots for path in Path(root).glob(f"*/*/{pattern}")]
    toolkit = os.environ.get("CUDA_HOME") or "/usr/local/cuda"
    system = [path for folder in ("lib64", "bin") for path in Path(toolkit, folder).glob(pattern)]
    found = [path for path in wheels or system if "alt" not in path.name]
    return max(found, key=lambda path: path.name, default=None)
