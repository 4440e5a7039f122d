"""The page prepares every file as `Classifier` does, bit for bit; run by node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt.geometry import NORMALIZATIONS, normalize, read_cloud, resample
from pointcmt_export.formats import web
from tests.export.web.files import GOOD, WRONG, write_good, write_wrong

PAGE = Path(web.__file__).parent / "page"
POINTS = 1024


def prepared(files: list[Path], **settings: Any) -> list[dict[str, Any]]:
    if shutil.which("node") is None or not (PAGE / "node_modules" / "earcut").is_dir():
        pytest.skip("needs node and the page's packages: `make page`")
    seeded: Any = np.random.default_rng(0).bit_generator.state["state"]
    random = {name: str(value) for name, value in seeded.items()}
    model = {"random": random, "points": POINTS, "normalization": "unit-sphere", **settings}
    command = ["node", str(Path(__file__).with_name("prepare.js")), str(PAGE), json.dumps(model)]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def test_good_files_are_prepared_bit_for_bit(tmp_path: Path) -> None:
    files = [write_good(tmp_path, name) for name in GOOD]
    for file, answer in zip(files, prepared(files), strict=True):
        expected = resample(normalize(read_cloud(file).points, "unit-sphere"), POINTS)
        np.testing.assert_array_equal(
            np.float32(answer["cloud"]).reshape(-1, 3), expected, err_msg=file.name
        )


def test_wrong_files_get_the_readers_own_sentence(tmp_path: Path) -> None:
    files = [write_wrong(tmp_path, name)[0] for name in WRONG]
    for file, answer in zip(files, prepared(files), strict=True):
        with pytest.raises(InputError) as caught:
            read_cloud(file)
        ours = str(caught.value).replace(f"{file.parent}/", "")
        if "unknown format" not in ours:  # the page reads fewer
            assert answer["error"] == ours
        assert answer["kind"] == "InputError"


def test_every_rule_of_normalisation_is_known(tmp_path: Path) -> None:
    file = write_good(tmp_path, "cloud.xyz")
    for rule in NORMALIZATIONS:
        (answer,) = prepared([file], normalization=rule, points=300)
        expected = normalize(read_cloud(file).points, rule)
        np.testing.assert_array_equal(np.float32(answer["cloud"]).reshape(-1, 3), expected)
