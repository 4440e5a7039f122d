"""What an import refuses, in one sentence that says what is wrong."""

import argparse
import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pointcmt.checkpoint import load_student
from pointcmt.errors import InputError
from pointcmt.importers.sources import SOURCES, import_checkpoint
from tests.reference.published_dgcnn import dgcnn_state
from tests.reference.published_pointmlp import pointmlp_state
from tests.reference.published_pointnet2 import yanx27_state
from tests.reference.published_resnet import resnet_state
from tests.reference.published_rscnn import rscnn_state

STATE = pointmlp_state(light=True, classes=15)
RAISING = "SA_modules.0.mlps.0.RSConvLayer0.RS_Conv.xyz_raising.weight"


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def refused(tmp_path: Path, saved: Any, source: str = "pointmlp-maxu", **options: Any) -> str:
    file = tmp_path / "weights.pth"
    if isinstance(saved, bytes):
        file.write_bytes(saved)
    else:
        torch.save(saved, file)
    with pytest.raises(InputError) as error:
        import_checkpoint(file, source, tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()
    message = str(error.value)
    assert "\n" not in message
    return message


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    state = STATE | {k: t for k, t in changes.items() if t is not None}
    return {k: t for k, t in state.items() if k not in changes or changes[k] is not None}


def test_missing_keys_are_listed(tmp_path: Path) -> None:
    state = {k: t for k, t in STATE.items() if not k.startswith("pos_blocks_list.3")}
    message = refused(tmp_path, state)
    assert "missing pos_blocks_list.3.operation.0.net1.0.weight, " in message
    assert "left over" not in message


def test_left_over_keys_are_listed(tmp_path: Path) -> None:
    assert "left over extra.bias)" in refused(tmp_path, changed(**{"extra.bias": torch.zeros(3)}))


def test_a_key_too_few_and_one_too_many_are_told_apart(tmp_path: Path) -> None:
    state = changed(**{"classifier.0.bias": None, "classifier.0.offset": torch.zeros(512)})
    message = refused(tmp_path, state)
    assert "missing classifier.0.bias; left over classifier.0.offset" in message


def test_wrong_shapes_are_listed(tmp_path: Path) -> None:
    weight = torch.zeros(512, 100)
    message = refused(tmp_path, changed(**{"classifier.0.weight": weight}))
    assert "hidden.0.linear.weight is (512, 100), not (512, 256)" in message


@pytest.mark.parametrize("source", [name for name in SOURCES if name != "pointmlp-maxu"])
def test_another_networks_file_is_recognised(tmp_path: Path, source: str) -> None:
    assert "it would fit --from pointmlp-maxu" in refused(tmp_path, STATE, source)


def test_a_file_of_no_known_network_gets_no_hint(tmp_path: Path) -> None:
    message = refused(tmp_path, {"weight": torch.zeros(3)})
    assert message.endswith("(missing embedding.net.0.weight)")


@pytest.mark.parametrize("shape", [(), (15,), (0, 256)])
@pytest.mark.parametrize(
    ("source", "state", "keys"),
    [
        ("pointmlp-maxu", STATE, ("embedding.net.0.weight", "classifier.8.weight")),
        ("dgcnn-wangyue", dgcnn_state(classes=4), ("conv1.0.weight", "linear3.weight")),
        ("rscnn-yochengliu", rscnn_state(classes=4), (RAISING, "FC_layer.4.fc.weight")),
        (
            "pointnet2-yanx27",
            yanx27_state(multi=True, normals=False, classes=4),
            ("sa1.conv_blocks.0.0.weight", "sa2.conv_blocks.0.0.weight", "fc3.weight"),
        ),
        (
            "torchvision-resnet",
            resnet_state("resnet18", classes=4),
            ("conv1.weight", "fc.weight"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_weight_that_is_no_map_is_refused(
    tmp_path: Path, source: str, state: dict[str, Tensor], keys: tuple[str, ...], shape: Any
) -> None:
    for key in keys:
        message = refused(tmp_path, state | {key: torch.zeros(shape)}, source)
        assert "not the weights of " in message


def test_two_names_of_one_tensor_must_agree(tmp_path: Path) -> None:
    state = dgcnn_state(classes=40)
    state["conv3.1.bias"] = state["conv3.1.bias"] + 1
    assert "conv3.1.bias and bn3.bias" in refused(tmp_path, state, "dgcnn-wangyue")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_truncated_files(tmp_path: Path, kept: float, legacy: bool) -> None:
    file = tmp_path / "whole.pth"
    torch.save(STATE, file, _use_new_zipfile_serialization=not legacy)
    whole = file.read_bytes()
    assert "truncated, damaged" in refused(tmp_path, whole[: int(kept * len(whole))])


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    assert "truncated, damaged or no PyTorch weight file" in refused(tmp_path, b"<html>404</html>")
    assert "holds a Tensor" in refused(tmp_path, torch.zeros(3))
    assert "a dictionary of epoch, best" in refused(tmp_path, {"epoch": 3, "best": 0.9})
    assert "holds an empty dictionary, but no" in refused(tmp_path, {})
    with pytest.raises(InputError, match="no such file"):
        import_checkpoint(tmp_path / "absent.pth", "pointmlp-maxu", tmp_path / "model")


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(file: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    monkeypatch.setattr(torch, "load", forbidden)  # a superuser may read all files
    assert refused(tmp_path, STATE).endswith("weights.pth: may not be read (Permission denied)")


def test_bytes_that_make_no_sense_among_the_bookkeeping(tmp_path: Path) -> None:
    file = tmp_path / "whole.pth"
    torch.save({"accuracy": np.float64(0.92), "model_state": {"a": torch.zeros(1)}}, file)
    whole = file.read_bytes()
    assert whole.count(b"latin1") == 1  # how the number is written
    message = refused(tmp_path, whole.replace(b"latin1", b"!atin1"))
    assert "truncated, damaged or no PyTorch weight file" in message


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_wants_to_run_code_is_refused_and_not_run(
    tmp_path: Path, legacy: bool
) -> None:
    file, victim = tmp_path / "evil.pth", tmp_path / "made-by-the-pickle"
    saved = {"net": STATE, "extra": RunsCode(victim)}
    torch.save(saved, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"could run code \(posix.mkdir\); nothing was run"):
        import_checkpoint(file, "pointmlp-maxu", tmp_path / "model")
    assert not victim.exists()


@pytest.mark.parametrize("what", [len, range(3), frozenset((1,))])
def test_a_builtin_in_a_pickle_is_refused_and_not_called_damage(tmp_path: Path, what: Any) -> None:
    name = getattr(what, "__name__", type(what).__name__)
    assert f"could run code ({name}); nothing was run" in refused(tmp_path, {"a": what})


@pytest.mark.parametrize(
    "bias",
    [
        torch.zeros(15).to_sparse(),
        torch.zeros(15, device="meta"),
        torch.zeros(15, dtype=torch.complex64),
    ],
    ids=["sparse", "meta", "complex"],
)
def test_tensors_that_are_not_plain_are_refused(tmp_path: Path, bias: Tensor) -> None:
    message = refused(tmp_path, changed(**{"classifier.8.bias": bias}))
    assert "classifier.8.bias cannot be taken as weights" in message


def test_a_whole_pickled_module_is_refused_with_advice(tmp_path: Path) -> None:
    assert "ask for a plain state dict" in refused(tmp_path, torch.nn.Linear(2, 2))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    bias = torch.full((15,), float("nan"))
    assert "classifier.8.bias hold" in refused(tmp_path, changed(**{"classifier.8.bias": bias}))


def test_unknown_source_lists_the_sources(tmp_path: Path) -> None:
    assert all(name in refused(tmp_path, STATE, "pointmlp") for name in SOURCES)


def test_class_names_must_be_as_many_as_classes(tmp_path: Path) -> None:
    message = refused(tmp_path, STATE, classes=["a", "b"])
    assert "has 15 classes, but 2 class names" in message


def test_an_option_the_student_lacks_is_refused(tmp_path: Path) -> None:
    assert "no option 'radius'" in refused(tmp_path, STATE, options={"radius": 1})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_classes": 3}, "num_classes is no option; the file itself tells it"),
        ({"name": "pointnet"}, "name is no option; the file itself tells it"),
        ({"channels": "x"}, "channels is 'x'; give a whole number from 3 to 6"),
        ({"channels": 7}, "channels is 7; give"),
        ({"channels": 3.0}, "channels is 3.0; give"),
        ({"k": 0}, "k is 0; a network has a whole number of neighbours, 1 or more"),
        ({"k": "x"}, "k is 'x'; a"),
        ({"k": 1.5}, "k is 1.5; a"),
        ({"head": "pointcmt"}, "not the weights of this network with these options (hidden."),
    ],
)
@pytest.mark.parametrize("source", ["dgcnn-wangyue", "pointmlp-maxu"])
def test_an_option_of_no_sense_is_refused(
    tmp_path: Path, options: dict[str, Any], told: str, source: str
) -> None:
    state = STATE if source == "pointmlp-maxu" else dgcnn_state(classes=4)
    assert told in refused(tmp_path, state, source, options=options)


def test_an_older_import_stays_when_the_new_one_is_refused(tmp_path: Path) -> None:
    file, folder = tmp_path / "weights.pth", tmp_path / "model"
    torch.save(STATE, file)
    import_checkpoint(file, "pointmlp-maxu", folder)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError):
        import_checkpoint(file, "pointmlp-maxu", folder)
    assert load_student(folder)[1].student == "pointmlp-elite"


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "weights.pth")
    for folder in (tmp_path, tmp_path / "weights.pth"):
        with pytest.raises(InputError, match="name a new folder"):
            import_checkpoint(tmp_path / "weights.pth", "pointmlp-maxu", folder)
    assert (tmp_path / "weights.pth").is_file()


def test_bookkeeping_beside_the_weights_is_looked_through(tmp_path: Path) -> None:
    saved = {
        "epoch": 3,
        "instance_acc": np.float64(0.9),
        "history": np.zeros(3),
        "args": argparse.Namespace(lr=0.1),
        "optimizer": {"state": {0: {"step": 1}}},
        "model_state_dict": STATE,
    }
    torch.save(saved, tmp_path / "weights.pth")
    folder = import_checkpoint(tmp_path / "weights.pth", "pointmlp-maxu", tmp_path / "model")
    student, config = load_student(folder)
    torch.testing.assert_close(student.state_dict()["classifier.bias"], STATE["classifier.8.bias"])
    content = (tmp_path / "weights.pth").read_bytes()
    assert config.provenance["sha256"] == hashlib.sha256(content).hexdigest()


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    half = {k: t.half() if t.is_floating_point() else t for k, t in STATE.items()}
    torch.save(half, tmp_path / "weights.pth")
    folder = import_checkpoint(tmp_path / "weights.pth", "pointmlp-maxu", tmp_path / "model")
    assert load_student(folder)[0].state_dict()["classifier.bias"].dtype == torch.float32
