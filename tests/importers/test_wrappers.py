"""Where the weights lie in a file: under which names and prefixes, and which of several count."""

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.optim.swa_utils import AveragedModel

from pointcmt.checkpoint import load_student
from pointcmt.errors import InputError
from pointcmt.importers.cli import main
from pointcmt.weights import read_state
from tests.reference.published_dgcnn import dgcnn_state

STATE = {"conv.weight": torch.ones(2, 3), "conv.bias": torch.zeros(2)}
OTHER = {key: tensor + 1 for key, tensor in STATE.items()}


def saved(tmp_path: Path, content: Any) -> Path:
    torch.save(content, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def assert_read(tmp_path: Path, content: Any, name: str = "", state: Any = STATE) -> None:
    found = read_state(saved(tmp_path, content), name)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


NAMES = (
    *("model", "net", "network", "module", "state", "weights", "params", "ema", "model_ema"),
    *("model_state", "model_state_dict", "state_dict", "student"),
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nested", [False, True])
def test_the_only_weights_are_taken_under_any_name(tmp_path: Path, name: str, nested: bool) -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.ones(2))])
    optimizer.param_groups[0]["params"][0].sum().backward()
    optimizer.step()
    inner = {"epoch": 3, name: STATE, "optimizer": optimizer.state_dict()}
    assert_read(tmp_path, {"state": inner, "best": 0.9} if nested else inner)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "net.", "network."]
)
def test_the_prefixes_of_wrapper_modules_are_cut(tmp_path: Path, prefix: str) -> None:
    assert_read(tmp_path, {"net": {f"{prefix}{key}": tensor for key, tensor in STATE.items()}})


def test_a_part_that_was_compiled_has_its_own_names(tmp_path: Path) -> None:
    assert_read(tmp_path, {key.replace(".", "._orig_mod."): t for key, t in STATE.items()})


def test_an_average_of_torch_is_read_without_its_counter(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 3))
    average = AveragedModel(network)
    assert_read(tmp_path, {"ema": average.state_dict()}, state=network.state_dict())


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"model": STATE, "model_ema": OTHER}, "model, model_ema"),
        ({"state_dict": {"net": STATE, "ema": OTHER}}, "state_dict.net, state_dict.ema"),
        ({"student": STATE, "teacher": OTHER}, "student, teacher"),
    ],
)
def test_of_several_networks_one_must_be_named(tmp_path: Path, content: Any, names: str) -> None:
    with pytest.raises(InputError, match=f"several networks, {names}; name one .*--weights NAME"):
        read_state(saved(tmp_path, content))
    first, last = names.split(", ")
    assert_read(tmp_path, content, first)
    assert_read(tmp_path, content, last, OTHER)
    with pytest.raises(InputError, match=f"holds no weights 'best', but {names}"):
        read_state(saved(tmp_path, content), "best")


def test_what_is_no_network_or_the_same_one_makes_no_choice(tmp_path: Path) -> None:
    assert_read(tmp_path, {"criterion": {"weight": torch.ones(4)}, "model": STATE})
    assert_read(tmp_path, {"model": STATE, "state_dict": dict(STATE)})
    with pytest.raises(InputError, match="no weights 'model', but one state dict without a name"):
        read_state(saved(tmp_path, STATE), "model")


def test_the_command_takes_the_weights_that_it_is_told(tmp_path: Path) -> None:
    one = dgcnn_state(classes=4)
    other = one | {"linear3.bias": one["linear3.bias"] + 1}
    file = saved(tmp_path, {"model": one, "ema": other})
    words = [str(file), "--from", "dgcnn-wangyue", "-o", str(tmp_path / "m")]
    assert "several networks, model, ema; name one" in CliRunner().invoke(main, words).output
    done = CliRunner().invoke(main, [*words, "--weights", "ema"])
    assert done.exit_code == 0, done.output
    bias = load_student(tmp_path / "m")[0].state_dict()["classifier.bias"]
    assert torch.equal(bias, other["linear3.bias"])
