"""A student that reads normals goes the whole way: gate, card, Triton, data, bench, classifier."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointcmt.checkpoint import load_student, save_student
from pointcmt.data import CloudDataset
from pointcmt.errors import InputError
from pointcmt_export.bench.run import _clouds
from pointcmt_export.bench.targets import find_targets
from pointcmt_export.bench.worker import Job, run
from pointcmt_export.exporter import export
from pointcmt_export.options import Grid, Options
from pointcmt_export.report import Report
from pointcmt_export.verify import clouds
from pointcmt_serve import Classifier
from tests.reference.small_students import CLASSES, POINTS, small_config, small_student

CHANNELS = ("x", "y", "z", "nx", "ny", "nz")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    student = small_student("pointnet", channels=6)
    config = replace(small_config("pointnet"), options={}, channels=CHANNELS, up="z")
    config = replace(config, options=small_config("pointnet").options | {"channels": 6})
    return save_student(tmp_path_factory.mktemp("normals") / "model", student, config)


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    out = tmp_path_factory.mktemp("normals") / "out"
    return out, export(model, out, Options(format="triton", grid=Grid((2,), (40,))))


def test_it_passes_and_its_user_is_told_what_to_give(exported: tuple[Path, Report]) -> None:
    out, report = exported
    assert report.engines == {"onnxruntime": {"status": "verified"}}
    card = (out / "README.md").read_text()
    assert "# (N, C), or (B, N, C)" in card
    assert "C = 6: x, y, z, nx, ny, nz" in card
    config = (out / "triton" / "pointnet" / "config.pbtxt").read_text()
    assert "dims: [ -1, 6 ]" in config
    assert f"dims: [ {POINTS}, 6 ]" in config


def test_the_classifier_gives_the_students_answer(
    exported: tuple[Path, Report], model: Path
) -> None:
    import torch

    cloud = np.random.default_rng(0).normal(size=(POINTS, 6)).astype(np.float32)
    classifier = Classifier(exported[0], device="cpu")
    assert (classifier.artefact.channels, classifier.artefact.up) == (CHANNELS, "z")
    (prediction,) = classifier(cloud)
    student, _ = load_student(model)
    with torch.no_grad():
        expected = student(torch.from_numpy(classifier.prepare(cloud))[None])[0]
    np.testing.assert_allclose(prediction.logits, expected.numpy(), atol=1e-5)


def test_engines_are_timed_on_clouds_of_its_channels(
    exported: tuple[Path, Report], model: Path, tmp_path: Path
) -> None:
    weights, graph = find_targets([model, exported[0]], tmp_path / "room")
    assert weights.channels == graph.channels == CHANNELS
    np.save(tmp_path / "clouds.npy", _clouds(2, POINTS, CHANNELS))
    logits = []
    for engine, target in (("torch-eager", weights), ("onnxruntime", graph)):
        place = str(tmp_path / "clouds.npy")
        job = Job(engine, str(target.folder), engine, place, (2,), 0, 1, "cpu", "")
        (record,) = run(job)
        assert record["status"] == "measured", record
        logits.append(record["logits"])
    np.testing.assert_allclose(*logits, atol=1e-5)


def dataset(channels: tuple[str, ...], up: str | None = None) -> CloudDataset:
    points = np.random.default_rng(1).normal(size=(6, POINTS, len(channels))).astype(np.float32)
    labels, ids = np.arange(6) % len(CLASSES), [str(i) for i in range(6)]
    return CloudDataset("made/test", CLASSES, points, labels, ids, "none", channels, up)


def test_its_channels_are_found_by_name_and_turned_upright(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """y is up in the data and z in the student's training: x stays, the new z is the old y."""
    _, config = load_student(model)
    order = ("x", "y", "z", "r", "nz", "nx", "ny")
    data = dataset(order, up="y")
    monkeypatch.setattr(clouds, "open_dataset", lambda *_, **__: data)
    found = clouds.open_data("modelnet40:x", replace(config, normalization="none"))
    ((batch, labels),) = found.labelled_batches(8)
    stored = dict(zip(order, data.points.transpose(2, 0, 1), strict=True))
    np.testing.assert_array_equal(batch[..., 0], stored["x"])
    np.testing.assert_array_equal(batch[..., 2], stored["y"])
    np.testing.assert_array_equal(batch[..., 1], -stored["z"])
    np.testing.assert_array_equal(batch[..., 3], stored["nx"])
    np.testing.assert_array_equal(batch[..., 5], stored["ny"])
    np.testing.assert_array_equal(batch[..., 4], -stored["nz"])
    np.testing.assert_array_equal(labels, data.labels)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (dataset(CHANNELS[:3]), "has x, y, z of a point, but the student also reads nx, ny, nz"),
        (dataset((*CHANNELS[:3], "r", "g", "b")), "the student also reads nx, ny, nz"),
    ],
    ids=["coordinates", "colours"],
)
def test_data_without_its_channels_are_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch, data: CloudDataset, sentence: str
) -> None:
    _, config = load_student(model)
    monkeypatch.setattr(clouds, "open_dataset", lambda *_, **__: data)
    with pytest.raises(InputError, match=sentence):
        clouds.open_data("modelnet40:x", config)


@pytest.mark.parametrize("name", ["shapes", "shapes:2"])
def test_data_of_other_classes_are_refused(model: Path, name: str) -> None:
    _, config = load_student(model)
    with pytest.raises(InputError, match=f"--data {name}: has the classes of shapes/test, but"):
        clouds.open_data(name, config)


def test_more_points_than_stored_are_distinct(model: Path) -> None:
    _, config = load_student(model)
    found = clouds.Clouds(dataset(CHANNELS), None, config)
    batch = found.batch(3, 3 * POINTS + 5)
    assert batch.shape == (3, 3 * POINTS + 5, 6)
    assert len(np.unique(batch[0], axis=0)) == 3 * POINTS + 5
    np.testing.assert_array_equal(batch[:, :POINTS], found.batch(3, POINTS))
