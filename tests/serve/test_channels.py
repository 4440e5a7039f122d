"""Students that read more than x, y and z: arrays, files and meshes that give it or lack it."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from pointcmt.errors import InputError
from pointcmt.geometry import normalize
from pointcmt_serve import Classifier
from pointcmt_serve.commands.classify import main
from tests.reference.tiny_student import BIAS, CLASSES, METADATA, POINTS, tiny_model

NAMES = ("x", "y", "z", "nx", "ny", "nz")
WEIGHT = np.random.default_rng(6).normal(size=(len(NAMES), len(CLASSES))).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that reads normals."""
    file = tmp_path_factory.mktemp("normals") / "model.onnx"
    onnx.save(tiny_model(METADATA | {"pointcmt.channels": json.dumps(NAMES)}, WEIGHT), file)
    return file


@pytest.fixture(scope="module")
def cloud() -> NDArray[np.float32]:
    """(POINTS, 6): points of a box of 1 x 2 x 3 about (5, 5, 5), and their normals."""
    import trimesh

    box = trimesh.creation.box(extents=(1, 2, 3))
    points, faces = trimesh.sample.sample_surface(box, POINTS, seed=0)
    return np.hstack([points + 5, box.face_normals[faces]]).astype(np.float32)


def expected(cloud: NDArray[np.float32]) -> NDArray[np.float32]:
    xyz = normalize(cloud[:, :3], "unit-sphere")
    return np.asarray((np.hstack([xyz, cloud[:, 3:]]) @ WEIGHT + BIAS).max(axis=0))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_arrays_are_classified_and_only_coordinates_normalised(
    model: Path, cloud: NDArray[np.float32], engine: str
) -> None:
    pytest.importorskip(engine)
    classify = Classifier(model, engine=engine)
    assert classify.artefact.channels == NAMES
    for points in (cloud, cloud[None], [cloud], cloud.astype(np.float64)):
        (answer,) = classify(points)
        np.testing.assert_allclose(answer.logits, expected(cloud), atol=1e-5)


@pytest.mark.parametrize("count", [POINTS // 3, POINTS * 3])
def test_a_point_keeps_its_normal_when_resampled(model: Path, count: int) -> None:
    """The normals are a function of the points here, so that a mixed pair would show."""
    xyz = np.random.default_rng(count).normal(size=(count, 3))
    xyz -= xyz.mean(axis=0)
    xyz /= np.linalg.norm(xyz, axis=1).max()
    prepared = Classifier(model).prepare(np.hstack([xyz, -2 * xyz]))
    assert prepared.shape == (POINTS, 6)
    np.testing.assert_allclose(prepared[:, 3:], -2 * prepared[:, :3], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((9, 3), r"has shape \(9, 3\), not \(N, 6\); a row is one point's x, y, z, nx, ny, nz"),
        ((9, 7), r"not \(N, 6\)"),
        ((5, 6), r"a cloud is \(N, 6\) numbers, one row a point, so transpose it"),
        ((6, 9), r"has shape \(6, 9\), not \(N, 6\); transpose it"),
    ],
)
def test_arrays_of_other_channels_are_told_which_are_wanted(
    model: Path, shape: tuple[int, int], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        Classifier(model)(np.random.default_rng(0).normal(size=shape))


def classified(model: Path, file: Path) -> dict[str, object]:
    result = CliRunner().invoke(main, [str(model), str(file), "--json", "--up", "as-is"])
    record: dict[str, object] = json.loads(result.stdout)[0]
    return record


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
def test_files_give_the_channels(
    model: Path, cloud: NDArray[np.float32], tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"cloud{suffix}"
    np.save(file, cloud) if suffix == ".npy" else np.savetxt(file, cloud)
    np.testing.assert_allclose(classified(model, file)["logits"], expected(cloud), atol=1e-3)


def test_the_surface_of_a_mesh_gives_normals(
    model: Path, cloud: NDArray[np.float32], tmp_path: Path
) -> None:
    """Its logits are those of the box's points, up to where on the surface these were drawn."""
    import trimesh

    trimesh.creation.box(extents=(1, 2, 3)).export(tmp_path / "box.off")
    logits = classified(model, tmp_path / "box.off")["logits"]
    np.testing.assert_allclose(logits, expected(cloud), atol=0.5)


def test_a_file_without_normals_is_one_sentence(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", np.eye(3))
    error = str(classified(model, tmp_path / "bare.npy")["error"])
    assert "bare.npy" in error
    assert "nx, ny, nz" in error
    assert "\n" not in error
