"""The page prepares every file as `Classifier` does, bit for bit; run by node."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import NORMALIZATIONS, normalize, read_cloud, resample
from pointcmt_export.formats import web
from tests.export.web.files import GOOD, WRONG, write_good, write_wrong
from tests.reference.cloud_files import damaged, examples
from tests.reference.variants import every

PAGE = Path(web.__file__).parent / "page"
POINTS = 1024
READ = (".off", ".obj", ".stl", ".ply", ".pcd", ".xyz", ".txt", ".csv", ".pts")


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


def written(folder: Path, contents: Iterable[tuple[str, bytes]]) -> list[Path]:
    """Write each content that the page reads, by the ending of its name."""
    files = []
    for number, (ending, content) in enumerate(contents):
        if ending in READ:
            files.append(folder / f"{number}{ending}")
            files[-1].write_bytes(content)
    return files


def sentence_or_cloud(file: Path, points: int) -> str | NDArray[np.float32]:
    try:
        return resample(normalize(read_cloud(file).points, "unit-sphere"), points)
    except InputError as error:
        return str(error).replace(f"{file.parent}/", "")


def require_alike(files: list[Path], points: int = 64) -> None:
    """Compare what the page and Python make of each file: the same cloud, or the same sentence."""
    for file, answer in zip(files, prepared(files, points=points), strict=True):
        shown = f"{file.name}: {file.read_bytes()[:2000]!r}"
        expected = sentence_or_cloud(file, points)
        if isinstance(expected, str):
            assert answer.get("error") == expected, shown
        else:
            assert "error" not in answer, f"{answer} {shown}"
            found = np.float32(answer["cloud"]).reshape(-1, 3)
            np.testing.assert_array_equal(found, expected, err_msg=shown)


def test_rare_files_are_read_alike_or_refused_with_one_sentence(tmp_path: Path) -> None:
    require_alike(written(tmp_path, every()))


def test_damaged_files_are_read_alike_or_refused_with_one_sentence(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    contents = (
        (name[name.index(".") :], content)
        for name, whole in examples().items()
        if name.endswith(READ)
        for content in damaged(whole, rng, 16)
        if not re.search(rb"\d_\d", content)  # a number to Python alone
    )
    require_alike(written(tmp_path, contents))


def test_every_rule_of_normalisation_is_known(tmp_path: Path) -> None:
    file = write_good(tmp_path, "cloud.xyz")
    for rule in NORMALIZATIONS:
        (answer,) = prepared([file], normalization=rule, points=300)
        expected = normalize(read_cloud(file).points, rule)
        np.testing.assert_array_equal(np.float32(answer["cloud"]).reshape(-1, 3), expected)
