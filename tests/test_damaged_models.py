"""Whatever a model folder or an exported file says: an answer, or one sentence."""

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from pointcmt.errors import InputError
from pointcmt_export.onnx_file import read_onnx
from pointcmt_export.source import open_source
from pointcmt_serve import Classifier
from tests.reference.small_students import small_model
from tests.reference.tiny_student import METADATA, tiny_model

ROUNDS = 120  # of each of the three kinds of damage
DEEP = "[" * 100_000 + "]" * 100_000
VALUES: tuple[Any, ...] = (
    *(None, True, "", "abc", "x" * 3000, "\ud800", "this:x", "os:abort", "a:b:c", "pointnet\0"),
    *(-5, 0, 1, 2.5, 10**9, 1e9, 10**400, float("inf"), float("nan"), -1e-300),
    *([], {}, [[]], [None], [-1], [0], [10**9, 10**9], ["x"], ["x", "y", "z", "x"], {"a": []}),
)
OPTIONS = (
    *("channels", "feature_dim", "width", "head", "bias", "centres", "neighbours", "dropout"),
    *("num_classes", "name", "k", "self", ""),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    room = tmp_path_factory.mktemp("models")
    return [small_model(room / name, name) for name in ("pointnet2-ssg", "dgcnn")]


def spoil(config: dict[str, Any], chance: random.Random) -> None:
    """Change or drop one entry, at any depth, or give an option a value without sense."""
    if chance.random() < 0.4:
        config["options"][chance.choice(OPTIONS)] = chance.choice(VALUES)
        return
    place: Any = config
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = chance.choice(keys)
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.5:
            break
        place = inner
    if chance.random() < 0.15:
        del place[key]
    else:
        place[key] = chance.choice(VALUES)


def damage(content: bytes, chance: random.Random) -> bytes:
    """Cut, flip or repeat some bytes."""
    spoilt = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(spoilt))
        spoilt[at] = chance.randrange(256)
    if chance.random() < 0.3:
        at = chance.randrange(len(spoilt))
        del spoilt[at : at + chance.randint(1, 40)]
    return bytes(spoilt)


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_configuration_is_opened_or_refused(
    folders: list[Path], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    folder = Path(shutil.copytree(folders[seed % 2], tmp_path / "model"))
    file, refused = folder / "config.json", list[str]()
    text = file.read_text()
    for _ in range(ROUNDS):
        config = json.loads(text)
        spoil(config, chance)
        file.write_text(json.dumps(config))
        try:
            source = open_source(folder)
        except InputError as error:
            refused.append(str(error))
        else:
            assert source.student.min_points <= source.config.points <= 1_000_000
    assert len(refused) > ROUNDS / 2
    assert not any("\n" in sentence for sentence in refused)
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"points": -5}, "points is -5, not a whole number from 1 to 1,000,000"),
        ({"points": 0}, "points is 0"),
        ({"points": 10**9}, "points is 1000000000"),
        ({"points": "abc"}, "points is 'abc'"),
        ({"points": 8}, "takes 32 points or more, but its clouds have 8"),
        ({"provenance": "x"}, "provenance is 'x', not an object"),
        ({"provenance": {"by": "\ud800"}}, "provenance cannot be written as text"),
        ({"options": {"width": 1e9}}, "pointnet2-ssg.* cannot be built"),
        ({"student": "this:x"}, "allow it with --allow-code this:x"),
        ({"normalization": "by-hand"}, "normalization is 'by-hand'"),
        ({"classes": "abc"}, "classes is 'abc', not a list of distinct names"),
    ],
)
def test_what_made_no_sense_and_passed_is_named(
    folders: list[Path], tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    folder = Path(shutil.copytree(folders[0], tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=sentence):
        open_source(folder)


@pytest.mark.parametrize("text", ["", "null", "[]", '"x"', DEEP, "{]", "\0"])
def test_a_configuration_that_is_none_is_refused(
    folders: list[Path], tmp_path: Path, text: str
) -> None:
    folder = Path(shutil.copytree(folders[0], tmp_path / "model"))
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match="not a PointCMT model configuration"):
        open_source(folder)


def refusal(file: Path) -> str | None:
    """Read and use an exported file as the commands do; why it was refused, or None."""
    cloud = np.random.default_rng(0).normal(size=(40, 3))
    try:
        read_onnx(file)
        predictions = Classifier(file, device="cpu", threads=1)(cloud)
    except InputError as error:
        return str(error)
    assert str(predictions[0].label).encode()
    return None


def require_both(refusals: list[str | None]) -> None:
    """Some were used, some refused with one sentence each."""
    sentences = [reason for reason in refusals if reason is not None]
    assert 0 < len(sentences) < len(refusals)
    assert not any("\n" in sentence for sentence in sentences)


@pytest.mark.parametrize("text", [b"0.1.0", b"64", b"pointcmt.points", b"unit-sphere"])
def test_metadata_that_are_no_text_are_refused(tmp_path: Path, text: bytes) -> None:
    content = tiny_model(METADATA).SerializeToString()
    assert content.count(text) == 1
    file = tmp_path / "model.onnx"
    file.write_bytes(content.replace(text, b"\xff" * len(text)))
    for use in (read_onnx, Classifier):
        with pytest.raises(InputError):
            use(file)


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_file_is_used_or_refused(tmp_path: Path, seed: int) -> None:
    chance, file = random.Random(seed), tmp_path / "model.onnx"
    content = tiny_model(METADATA).SerializeToString()
    refusals = []
    for _ in range(ROUNDS):
        file.write_bytes(damage(content, chance))
        refusals.append(refusal(file))
    require_both(refusals)


def test_changed_metadata_are_used_or_refused(tmp_path: Path) -> None:
    chance, file = random.Random(0), tmp_path / "model.onnx"
    keys = (*METADATA, *(f"pointcmt.{key}" for key in ("channels", "up", "inputs")))
    texts = [json.dumps(value) for value in VALUES] + [DEEP, "9" * 5000, "", "²", "-5", "abc"]
    refusals = []
    for _ in range(ROUNDS):
        model = tiny_model(METADATA | {chance.choice(keys): chance.choice(texts)})
        onnx.save(model, file)
        refusals.append(refusal(file))
    require_both(refusals)
