"""Reading a network without its dropout while it trains."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

DROPOUTS = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


@contextmanager
def undropped(module: nn.Module) -> Iterator[None]:
    """Switch the dropout modules inside `module` off, and back on as they were afterwards.

    Everything else, batch norm for one, stays in the mode it is in. `torch.nn.functional.dropout`
    called by a module's own code is not a module and is not reached.
    """
    active = [m for m in module.modules() if isinstance(m, DROPOUTS) and m.training]
    for dropout in active:
        dropout.training = False
    try:
        yield
    finally:
        for dropout in active:
            dropout.training = True
