import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from pointcmt_serve.commands.classify import main
from tests.reference.tiny_student import CLASSES, reference_logits


def classify(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def files(tmp_path: Path, clouds: NDArray[np.float32]) -> list[Path]:
    paths = [tmp_path / f"cloud{i}.npy" for i in range(len(clouds))]
    for path, cloud in zip(paths, clouds, strict=True):
        np.save(path, cloud)
    return paths


@pytest.fixture
def expected(clouds: NDArray[np.float32]) -> list[str]:
    return [CLASSES[i] for i in reference_logits(clouds).argmax(axis=1)]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_each_file_gets_a_line(
    model: Path, files: list[Path], expected: list[str], engine: str
) -> None:
    pytest.importorskip(engine)
    result = classify(model, *files, "--engine", engine)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line.split(": ")[0] for line in lines] == [str(f) for f in files]
    assert [line.split(": ")[1].split()[0] for line in lines] == expected


def test_json_is_one_list(model: Path, files: list[Path], expected: list[str]) -> None:
    result = classify(model, *files, "--json", "--top", 2)
    records = json.loads(result.stdout)
    assert [r["label"] for r in records] == expected
    for record in records:
        assert record["top"][0]["label"] == record["label"]
        assert len(record["top"]) == 2
        assert len(record["logits"]) == len(CLASSES)
        assert CLASSES[record["index"]] == record["label"]


def test_top_lists_the_classes_in_order(model: Path, files: list[Path]) -> None:
    line = classify(model, files[0], "--top", 4).stdout
    shown = [float(part.split()[1]) for part in line.split(": ")[1].split(", ")]
    assert len(shown) == 4
    assert shown == sorted(shown, reverse=True)


def test_a_bad_file_hides_no_other(model: Path, files: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.npy"
    np.save(bad, np.full((9, 3), np.nan))
    result = classify(model, files[0], bad, tmp_path / "absent.npy", files[1])
    assert result.exit_code == 1
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [
        str(files[0]),
        str(files[1]),
    ]
    errors = result.stderr.splitlines()
    assert [e.split(": ")[:2] for e in errors] == [
        ["Error", str(bad)],
        ["Error", str(tmp_path / "absent.npy")],
    ]


def test_a_bad_file_stands_in_the_json(model: Path, files: list[Path], tmp_path: Path) -> None:
    result = classify(model, tmp_path / "absent.npy", files[0], "--json")
    bad, good = json.loads(result.stdout)
    assert result.exit_code == 1
    assert set(bad) == {"file", "error"}
    assert good["label"] in CLASSES


def test_more_files_than_a_batch(model: Path, files: list[Path], expected: list[str]) -> None:
    result = classify(model, *(files * 15), "--json")
    assert [r["label"] for r in json.loads(result.stdout)] == expected * 15


def test_a_bad_model_is_one_sentence(tmp_path: Path, files: list[Path]) -> None:
    result = classify(tmp_path / "absent.onnx", files[0])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_model_alone_is_a_usage_error(model: Path) -> None:
    assert classify(model).exit_code == 2


def write_text(path: Path, cloud: NDArray[np.float32]) -> None:
    np.savetxt(path, cloud)


def write_npz(path: Path, cloud: NDArray[np.float32]) -> None:
    np.savez(path, points=cloud)


def write_pcd(path: Path, cloud: NDArray[np.float32]) -> None:
    from pypcd4 import PointCloud

    PointCloud.from_xyz_points(cloud).save(path)


def write_ply(path: Path, cloud: NDArray[np.float32]) -> None:
    import trimesh

    trimesh.PointCloud(cloud).export(path)


WRITERS = {
    "cloud.npy": np.save,
    "cloud.npz": write_npz,
    "cloud.xyz": write_text,
    "cloud.txt": write_text,
    "cloud.pcd": write_pcd,
    "cloud.ply": write_ply,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_cloud_format_gives_the_same_answer(
    model: Path, tmp_path: Path, clouds: NDArray[np.float32], expected: list[str], name: str
) -> None:
    WRITERS[name](tmp_path / name, clouds[0])
    result = classify(model, tmp_path / name, "--json")
    assert result.exit_code == 0, result.stderr
    (record,) = json.loads(result.stdout)
    assert record["label"] == expected[0]
    np.testing.assert_allclose(record["logits"], reference_logits(clouds[:1])[0], atol=1e-3)


@pytest.mark.parametrize("suffix", ["off", "obj", "stl", "glb", "ply"])
def test_every_mesh_format_is_sampled(model: Path, tmp_path: Path, suffix: str) -> None:
    import trimesh

    path = tmp_path / f"mesh.{suffix}"
    trimesh.creation.box(extents=(1, 2, 3)).export(path)
    result = classify(model, path, "--json")
    assert result.exit_code == 0, result.stderr
    # A box this dense in points reaches, up to the sampling, its corners at radius 1.
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-2, 2) for z in (-3, 3)]) / 14**0.5
    (record,) = json.loads(result.stdout)
    ideal = reference_logits(corners[None].astype(np.float32))[0]
    np.testing.assert_allclose(record["logits"], ideal, atol=0.6)
