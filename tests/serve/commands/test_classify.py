import csv
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from pointcmt_serve import Artefact, Classifier
from pointcmt_serve.commands import reading
from pointcmt_serve.commands.classify import main
from tests.reference.tiny_student import CLASSES, TOLD, reference_logits
from tests.serve.conftest import WriteModel


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


def test_the_answer_is_that_of_so_many_votes(model: Path, files: list[Path]) -> None:
    (record,) = json.loads(classify(model, files[0], "--json", "--votes", 3).stdout)
    (voted,) = Classifier(model, votes=3)(np.load(files[0]))
    np.testing.assert_allclose(record["logits"], voted.logits, atol=1e-6)


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


def test_what_is_not_there_is_told_so_whatever_its_ending(model: Path, tmp_path: Path) -> None:
    result = classify(model, tmp_path / "nowhere")
    assert result.stderr == f"Error: {tmp_path / 'nowhere'}: no such file or folder\n"


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


def test_the_buffer_of_a_gltf_in_a_folder_is_no_cloud(tmp_path: Path) -> None:
    for name in ("a/cube.gltf", "a/cube_data.bin", "b/scan.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(tmp_path / name) for name in ("a/cube.gltf", "b/scan.bin")]
    assert reading.find_files([str(tmp_path)]) == found


def test_a_folder_stands_for_the_files_in_and_below_it(
    model: Path, files: list[Path], expected: list[str], tmp_path: Path
) -> None:
    deep = tmp_path / "set" / "deep"
    deep.mkdir(parents=True)
    for file in files[:2]:
        file.rename(deep / file.name)
    files[2].rename(tmp_path / "set" / files[2].name)
    (tmp_path / "set" / "notes.md").write_text("no cloud")
    records = json.loads(classify(model, tmp_path / "set", "--json").stdout)
    told = {Path(r["file"]).name: r["label"] for r in records}
    assert told == {file.name: label for file, label in zip(files[:3], expected, strict=False)}
    (tmp_path / "empty").mkdir()
    result = classify(model, tmp_path / "empty", files[3])
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 1)
    assert "empty: holds no file of" in result.stderr


def test_what_systems_add_and_folders_that_look_like_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.ply").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    for name in ("a.ply/b.off", "._b.ply", "__MACOSX/c.ply"):
        (tmp_path / name).touch()
    assert reading.find_files([str(tmp_path)]) == [str(tmp_path / "a.ply/b.off")]


@pytest.mark.parametrize("out", ["results.csv", "why"])
def test_what_a_run_wrote_is_not_classified_by_the_next(
    write_model: WriteModel, files: list[Path], tmp_path: Path, out: str
) -> None:
    model = write_model(explain=json.dumps(TOLD))
    folder = tmp_path / "set"
    folder.mkdir()
    for file in files[:3]:
        file.rename(folder / file.name)
    option = "--out" if out.endswith("csv") else "--explain"
    for _ in range(2):
        result = classify(model, folder, option, folder / out)
        assert result.exit_code == 0, result.output
    assert classify(model, folder, "--json").exit_code == int(option == "--out")
    if option == "--explain":
        assert len(json.loads(classify(model, folder, "--json").stdout)) == 3


@pytest.mark.parametrize("name", [b"d\xe9j\xe0.npy", b"bell\x07.npy"])
def test_a_name_need_not_be_unicode(
    write_model: WriteModel, files: list[Path], tmp_path: Path, name: bytes
) -> None:
    model = write_model(explain=json.dumps(TOLD))
    file, out = tmp_path / os.fsdecode(name), tmp_path / "results.csv"
    files[0].rename(file)
    for count in (1, 0):
        result = classify(model, file, "--out", out, "--explain", tmp_path / "why")
        assert (result.exit_code, f"1 files, {count} of them now" in result.stderr) == (0, True)
    ElementTree.parse(tmp_path / "why" / f"{file.name}.svg")  # noqa: S314


def test_an_explanation_that_cannot_be_written_is_its_files_error(
    write_model: WriteModel, files: list[Path], tmp_path: Path
) -> None:
    model, long = write_model(explain=json.dumps(TOLD)), tmp_path / f"{'a' * 249}.npy"
    files[0].rename(long)
    result = classify(model, long, files[1], "--explain", tmp_path / "why")
    assert result.exit_code == 1
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [str(files[1])]
    assert "too long" in result.stderr
    assert (tmp_path / "why" / f"{files[1].name}.svg").is_file()


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        if file.suffix == ".csv":
            return list(csv.DictReader(opened))
        return [json.loads(line) for line in opened]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_results_are_written_and_continued(
    model: Path, files: list[Path], expected: list[str], tmp_path: Path, suffix: str
) -> None:
    out, bad = tmp_path / f"results.{suffix}", tmp_path / "bad, file.npy"
    np.save(bad, np.full((9, 3), np.nan))
    first = classify(model, *files[:2], bad, "--out", out, "--top", 2)
    assert (first.exit_code, first.stdout) == (1, "")
    assert f"{out}: 3 files, 3 of them now, 1 failed" in first.stderr
    before = out.read_text()
    with out.open("a") as file:
        file.write('"half a li')  # as a killed run leaves it
    second = classify(model, *files, bad, "--out", out, "--top", 2)
    assert f"{out}: 6 files, 3 of them now, 1 failed" in second.stderr
    assert second.exit_code == 1
    assert out.read_text().startswith(before)
    found = {row["file"]: row for row in rows(out)}
    assert set(found) == {str(file) for file in (*files, bad)}
    assert [found[str(file)]["label"] for file in files] == expected
    assert "NaN" in found[str(bad)]["error"]
    if suffix == "csv":
        assert all(float(found[str(file)]["probability_2"]) < 0.5 for file in files)


def test_results_of_another_model_are_not_continued(
    write_model: WriteModel, files: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "results.csv"
    assert classify(write_model(), files[0], "--out", out).exit_code == 0
    before = out.read_bytes()
    for arguments in (
        (write_model("other.onnx", version="9"), files[1], "--out", out),
        (write_model(), files[1], "--out", out, "--votes", 2),
        (write_model(), files[1], "--out", out, "--top", 2),
    ):
        result = classify(*arguments)
        assert "of another model or of other options" in result.stderr
    assert out.read_bytes() == before


def test_files_that_are_no_results_stay_as_they_are(
    model: Path, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    result = classify(model, files[0], "--out", tmp_path / "mine.csv")
    assert "nothing beside it says what made it" in result.stderr
    assert (tmp_path / "mine.csv").read_text() == "a,b\n1,2\n"
    assert "ends in .csv or .jsonl" in classify(model, files[0], "--out", tmp_path / "r.txt").stderr
    both = classify(model, files[0], "--json", "--out", tmp_path / "r.csv")
    assert "give one of them" in both.stderr


def test_several_readers_give_the_same_in_order(
    model: Path, files: list[Path], expected: list[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"no array")
    result = classify(model, *files, bad, *(files * 3), "--json", "--readers", 2)
    records = json.loads(result.stdout)
    assert [r.get("label") for r in records] == [*expected, None, *(expected * 3)]
    assert "bad.npy" in records[len(files)]["error"]


@pytest.mark.parametrize(("readers", "most"), [(1, 3), (2, 2 * 2 + 3)])
def test_no_more_is_read_ahead_than_is_held(
    model: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch, readers: int, most: int
) -> None:
    asked: list[str] = []
    real = reading.read_prepared

    def read(artefact: Artefact, file: str) -> Any:
        asked.append(file)
        return real(artefact, file)

    monkeypatch.setattr(reading, "read_prepared", read)
    monkeypatch.setattr(reading, "ProcessPoolExecutor", lambda n, _: ThreadPoolExecutor(n))
    monkeypatch.setattr(reading, "AHEAD", 2)
    many = [str(file) for file in files] * 10
    answers = reading.read_all(Classifier(model).artefact, many, readers)
    given = [next(answers)[0] for _ in range(3)]
    time.sleep(0.1)
    assert given == many[:3]
    assert len(asked) <= most
    assert given + [file for file, _ in answers] == many
