"""Weights of stages I and II: read back as they were, or refused in a sentence."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pointcmt.errors import InputError
from pointcmt_training.stages.common import load_weights, save_weights


def test_weights_of_another_precision_are_refused(tmp_path: Path) -> None:
    path, module = tmp_path / "model.safetensors", nn.Linear(2, 2)
    save_weights(module, path)
    fresh = nn.Linear(2, 2)
    load_weights(fresh, path)
    assert torch.equal(fresh.weight, module.weight)
    save_file({key: tensor.half() for key, tensor in load_file(path).items()}, path)
    with pytest.raises(
        InputError, match=r"model\.safetensors: \w+ is float16; float32 was expected"
    ):
        load_weights(fresh, path)
