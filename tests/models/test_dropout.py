"""Reading a network without its dropout."""

import pytest
import torch
from torch import nn

from pointcmt.models.dropout import undropped


def network() -> nn.Sequential:
    parts = (nn.Dropout(0.5), nn.BatchNorm1d(3), nn.AlphaDropout(0.5), nn.Dropout(0.5))
    return nn.Sequential(*parts).train()


def test_dropout_is_off_inside_and_as_it_was_afterwards() -> None:
    module, ones = network(), torch.arange(12.0).reshape(4, 3)
    module[3].eval()
    with undropped(module):
        assert [part.training for part in module] == [False, True, False, False]
        assert torch.equal(module(ones), module(ones))
    assert [part.training for part in module] == [True, True, True, False]


def test_dropout_is_back_after_an_error() -> None:
    module = network()
    with pytest.raises(RuntimeError), undropped(module):
        module(torch.ones(2, 5))
    assert all(part.training for part in module)
