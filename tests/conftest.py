"""What every test may ask for."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

from tests.browser import open_browser

ROOT = Path(__file__).parents[1]


def pytest_configure() -> None:
    gc.set_threshold(100_000, 20, 20)  # most objects live to the end: look at them rarely
    slow = hypothesis.HealthCheck.too_slow  # says how busy the machine is
    hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[slow])
    hypothesis.settings.load_profile("busy")


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported by now is not looked at again


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def _conversions_are_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = _shared(tmp_path_factory) / "conversions"
    folder.mkdir(exist_ok=True)
    from tests.conversions import keep_conversions  # not in the process that only hands out tests

    with pytest.MonkeyPatch.context() as patch:
        keep_conversions(patch, folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def _objects_are_kept() -> Iterator[None]:
    """What was once scanned of the embedded objects in this process is not scanned again."""
    from pointcmt.data.readers import shapes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "scanned", cache(shapes.scanned))
        yield


@pytest.fixture(scope="session")
def modelnet40_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real ModelNet40 clouds in the official HDF5 layout, or a skip.

    They are looked for in POINTCMT_MODELNET40, then beside the checkout, where an `unpack.py`
    writes them, once for all test processes.
    """
    if named := os.environ.get("POINTCMT_MODELNET40"):
        return Path(named)
    unpack = ROOT.parent / "shared" / "data" / "modelnet40" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("no real ModelNet40 here: set POINTCMT_MODELNET40 to its HDF5 folder")
    shared = _shared(tmp_path_factory)
    target = shared / "modelnet40"
    with FileLock(shared / "modelnet40.lock"):
        if not target.is_dir():
            fresh = shared / "modelnet40.part"
            command = [sys.executable, unpack, fresh]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            fresh.rename(target)
    return target / "modelnet40_ply_hdf5_2048"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, or a skip where it is not installed; see `tests.browser`."""
    with open_browser() as found:
        yield found


@pytest.fixture(scope="session")
def local_ray() -> Iterator[Any]:
    """Ray on this machine's loopback address, or a skip where it is not installed."""
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what makes it bind to that address alone
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # a busy machine starts it slowly
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }
    ray = pytest.importorskip("ray", reason="ray is not installed")
    ray.init(num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False)
    yield ray
    ray.shutdown()
