#!/usr/bin/env bash
# The wheel for 64-bit ARM, built and tried on another processor: cross-compiled, installed for an
# emulated Python, tested there. On Debian, once:
#   dpkg --add-architecture arm64 && apt-get update && apt-get install qemu-user g++-aarch64-linux-gnu
# Usage: tests/packaging/arm64.sh [pytest's words]
set -euo pipefail
cd "$(dirname "$0")/../.."
ROOM=$PWD/build/arm64
PYTHON=$ROOM/root/usr/bin/python3.11
PACKAGES="libbz2-1.0 libc6 libexpat1 libffi8 libgcc-s1 liblzma5 libsqlite3-0 libssl3 libstdc++6
    libuuid1 zlib1g libpython3.11-minimal libpython3.11-stdlib python3.11-minimal"

mkdir -p "$ROOM/debs"
if [ ! -e "$PYTHON" ]; then
    (cd "$ROOM/debs" && apt-get download -qq $(printf '%s:arm64 ' $PACKAGES))
    for package in "$ROOM"/debs/*.deb; do dpkg-deb --extract "$package" "$ROOM/root"; done
fi

rm -rf "$ROOM/wheel" "$ROOM/site"
_PYTHON_HOST_PLATFORM=linux-aarch64 \
CMAKE_ARGS="-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++" \
    .venv/bin/uv build --quiet --wheel -o "$ROOM/wheel" -Cbuild-dir="$ROOM/build" .
.venv/bin/uv pip install --quiet --target "$ROOM/site" --python-version 3.11 \
    --python-platform aarch64-manylinux_2_28 --only-binary :all: --no-deps \
    "$ROOM"/wheel/*.whl
.venv/bin/uv pip install --quiet --target "$ROOM/site" --python-version 3.11 \
    --python-platform aarch64-manylinux_2_28 --only-binary :all: \
    click hypothesis numpy 'onnxruntime<1.24' pytest pytest-timeout scipy

# Later versions of onnxruntime take the caches under the host's /sys for their own, and crash.
emulated() { (cd "$ROOM" && PYTHONPATH=$ROOM/site PYTHONDONTWRITEBYTECODE=1 \
    QEMU_LD_PREFIX=$ROOM/root qemu-aarch64 "$PYTHON" "$@"); }
emulated "$PWD/tests/packaging/installed.py" --native
# A test that starts a Python of its own cannot do so here.
export POINTCMT_NATIVE=$ROOM/site/pointcmt/native/_native.abi3.so
emulated -m pytest --noconftest -o addopts=--import-mode=importlib -o cache_dir="$ROOM/cache" \
    --rootdir "$PWD" --timeout 3000 -k "not loads_neither_torch_nor_scipy" \
    "$PWD/tests/ops/native" "$@"
