"""Exported folders on a hub: pushed by `huggingface_hub`, fetched, and checked by hash."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pointcmt.errors import InputError
from pointcmt_serve import Classifier
from pointcmt_serve.hub import fetched
from pointcmt_serve.pretrained import located
from tests.serve.hub_server import Hub, open_hub

hub_library = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
SHIPPED = located(Path("shapes"))
CLOUD = np.random.default_rng(0).normal(size=(600, 3))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with open_hub() as opened:
        monkeypatch.setenv("HF_ENDPOINT", opened.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        yield opened


@pytest.fixture
def files() -> dict[str, bytes]:
    found = sorted(path for path in SHIPPED.rglob("*") if path.is_file())
    return {path.relative_to(SHIPPED).as_posix(): path.read_bytes() for path in found}


def test_a_pushed_folder_is_fetched_and_answers_as_it_did(hub: Hub) -> None:
    api = hub_library.HfApi(endpoint=hub.url, token="hf_none")  # noqa: S106
    api.create_repo("owner/name")
    commit = api.upload_folder(repo_id="owner/name", folder_path=SHIPPED).oid
    (ours,) = Classifier(SHIPPED)(CLOUD)
    for reference, revision in (
        ("hf:owner/name", None),
        ("hf:owner/name", commit),
        (f"hf:owner/name@{commit}", None),
    ):
        classifier = Classifier(reference, revision=revision)
        (theirs,) = classifier(CLOUD)
        np.testing.assert_array_equal(theirs.logits, ours.logits)
    hub.revisions.pop("main")  # what a commit names is in the cache
    (again,) = pickle.loads(pickle.dumps(classifier))(CLOUD)  # noqa: S301
    np.testing.assert_array_equal(again.logits, ours.logits)


def test_its_card_is_what_the_hub_reads() -> None:
    card = hub_library.ModelCard.load(SHIPPED / "README.md")
    assert card.data.library_name == "pointcmt"
    (accuracy, _) = card.data.eval_results
    assert accuracy.metric_type == "accuracy"
    assert 50 < accuracy.metric_value < 100


def test_only_what_runs_no_code_is_fetched(hub: Hub, files: dict[str, bytes]) -> None:
    hub.commit({**files, "evil.pkl": b"x", "setup.py": b"raise SystemExit"})
    fresh = {p.relative_to(fetched("hf:owner/name")).as_posix() for p in
             fetched("hf:owner/name").rglob("*") if p.is_file()}  # fmt: skip
    assert fresh == set(files)


def test_another_file_than_the_report_lists_is_refused(hub: Hub, files: dict[str, bytes]) -> None:
    hub.commit({**files, "model.onnx": files["model.onnx"][:-1] + b"!"})
    with pytest.raises(InputError, match=r"^hf:owner/name: model.onnx is not the file that"):
        Classifier("hf:owner/name")


def test_a_file_that_is_damaged_in_the_cache_is_refused(hub: Hub, files: dict[str, bytes]) -> None:
    """Weights that no report lists, whose sha256 the hub states."""
    hub.commit(files)
    weights = fetched("hf:owner/name") / "model" / "model.safetensors"
    weights.resolve().write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"model.safetensors is damaged in .*; delete that file"):
        fetched("hf:owner/name")


def test_a_repository_that_lacks_a_file_is_refused(hub: Hub, files: dict[str, bytes]) -> None:
    del files["model.onnx"]
    hub.commit(files)
    with pytest.raises(InputError, match=r"lacks model.onnx, which its export_report.json lists"):
        Classifier("hf:owner/name")


@pytest.mark.parametrize("report", [None, b"{", b'{"files": 3}', b'{"files": {"../../x": "0"}}'])
def test_a_repository_of_something_else_is_refused(hub: Hub, report: bytes | None) -> None:
    hub.commit({"README.md": b"x"} | ({} if report is None else {"export_report.json": report}))
    with pytest.raises(InputError, match=r"^hf:owner/name: (holds no|its) export_report.json"):
        Classifier("hf:owner/name")


@pytest.mark.parametrize(
    ("reference", "revision", "sentence"),
    [
        ("hf:owner", None, "is no repository of the hub"),
        ("hf:owner/name@a", "b", "the revision once"),
        ("hf:owner/gone", None, "cannot be fetched"),
        ("hf:owner/name", "gone", "cannot be fetched"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    hub: Hub, files: dict[str, bytes], reference: str, revision: str | None, sentence: str
) -> None:
    hub.commit(files)
    with pytest.raises(InputError, match=sentence):
        Classifier(reference, revision=revision)


def test_a_revision_belongs_to_the_hub() -> None:
    with pytest.raises(InputError, match="is not on the hub"):
        Classifier(SHIPPED, revision="main")
