"""What every test may ask for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def modelnet40_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real ModelNet40 clouds in the official HDF5 layout, or a skip.

    They are looked for in POINTCMT_MODELNET40, then beside the checkout, where an `unpack.py`
    writes them.
    """
    if named := os.environ.get("POINTCMT_MODELNET40"):
        return Path(named)
    unpack = ROOT.parent / "shared" / "data" / "modelnet40" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("no real ModelNet40 here: set POINTCMT_MODELNET40 to its HDF5 folder")
    target = tmp_path_factory.mktemp("modelnet40")
    subprocess.run([sys.executable, unpack, target], check=True, stdout=subprocess.DEVNULL)
    return target / "modelnet40_ply_hdf5_2048"
