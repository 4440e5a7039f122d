"""Reading other people's weight files: tensors come out, and no code in the file ever runs."""

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file

from pointcmt.errors import InputError

State = dict[str, torch.Tensor]

NETWORKS = ("model", "net", "network", "module", "state", "weights", "params")
STATES = ("model_state", "model_state_dict", "net_state_dict", "network_state_dict", "state_dict")
AVERAGES = (
    *("ema", "model_ema", "ema_model", "params_ema"),
    *("ema_state", "ema_state_dict", "model_ema_state_dict", "state_dict_ema"),
)
WRAPPERS = {*NETWORKS, *STATES, *AVERAGES}  # under what training scripts keep a network's weights
COMPILED = "_orig_mod."  # of `torch.compile`, before whatever was compiled
PREFIXES = ("module.", "model.", "net.", "network.")
AVERAGED = "n_averaged"  # the counter of `torch.optim.swa_utils.AveragedModel`


class _Inert:
    """Takes the place of a harmless global of a pickle, such as a numpy scalar; does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Inert":
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


# Book-keeping that public training scripts save beside the weights (accuracies as numpy scalars,
# command-line arguments, logger objects). Their names are bound to `_Inert`, never to themselves.
BOOKKEEPING = (
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.dtypes.{name}DType" for name in ("Float64", "Float32", "Int64", "Int32", "Bool")),
    "_codecs.encode",
    "argparse.Namespace",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.pt_callbacks.EarlyStopping",
    "pytorch_lightning.callbacks.pt_callbacks.ModelCheckpoint",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)


def read_state(path: Path | str, name: str = "") -> State:
    """Read a state dict from a file of `torch.save` or from a safetensors file.

    Dictionaries around the state dict are looked through (`model_state`, `state_dict`, `net` and
    the like), and prefixes of wrapper modules (`module.`) are cut. Floating-point tensors become
    float32.

    Args:
        path: the file.
        name: which state dict of several, by its keys with dots, `model_ema` or `ema.net`.

    Raises:
        InputError: the file is missing, damaged or truncated, holds no state dict, none of that
            name or several, asks to load anything but tensors, or has tensors that are not plain or
            numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    loaded = _load_safetensors(path) if path.suffix == ".safetensors" else _load_pickle(path)
    state = _strip_prefixes(_unwrap(loaded, path, name))
    if odd := [key for key, t in state.items() if not _is_plain(t)]:
        raise InputError(
            f"{path}: {listing(odd)} cannot be taken as weights; plain tensors of real numbers are "
            "wanted, not sparse, quantised, complex or empty (meta) ones"
        )
    state = {key: t.float() if t.is_floating_point() else t for key, t in state.items()}
    damaged = [key for key, t in state.items() if not torch.isfinite(t).all()]
    if damaged:
        raise InputError(f"{path}: {listing(damaged)} hold numbers that are not finite")
    return state


def listing(names: list[str], most: int = 12) -> str:
    """Join names for a message, at most `most` of them and the count of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _load_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: damaged or no safetensors file ({error})") from error


def _load_pickle(path: Path) -> Any:
    names: list[Any] = [(_Inert, name) for name in BOOKKEEPING]
    try:
        with torch.serialization.safe_globals(names), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an unusual pickle protocol; it works or is refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: {_refusal(str(error))}") from error
    except PermissionError as error:
        raise InputError(f"{path}: may not be read ({error.strerror})") from error
    except Exception as error:  # whatever damaged bytes make the reader's parts raise
        raise InputError(f"{path}: truncated, damaged or no PyTorch weight file") from error


def _refusal(message: str) -> str:
    """Say in one clause why torch's weights-only reader gave up."""
    # A builtin, such as eval, is named without its module.
    found = re.search(r"GLOBAL ([\w.]+)|(?:class|function) ([\w.]+\.[\w.]+)", message)
    if found is None:
        return "truncated, damaged or no PyTorch weight file"
    name = found.group(1) or found.group(2)
    return (
        f"refused, because loading it could run code ({name}); nothing was run; ask for "
        "a plain state dict, as torch.save(model.state_dict(), file) writes it"
    )


def _unwrap(loaded: Any, path: Path, name: str) -> State:
    found = dict(_states(loaded))
    if not found:
        raise InputError(f"{path}: holds {_kind(loaded)}, but no state dict of tensors")
    if name and name not in found:
        names = listing([one for one in found if one]) or "one state dict without a name"
        raise InputError(f"{path}: holds no weights {name!r}, but {names}")
    usual = {one: state for one, state in found.items() if WRAPPERS.issuperset(one.split("."))}
    chosen = {name: found[name]} if name else usual or found
    first, *others = chosen.values()
    if not all(_are_equal(first, other) for other in others):
        raise InputError(
            f"{path}: holds the weights of several networks, {listing(list(chosen))}; name one "
            "(pointcmt-import --weights NAME), or save it to a file of its own"
        )
    return first


def _states(loaded: Any, prefix: str = "", depth: int = 2) -> Iterator[tuple[str, State]]:
    """Yield the state dicts in dictionaries, by their keys; the whole has the empty name."""
    if _is_state(loaded):
        yield prefix, dict(loaded)
    elif isinstance(loaded, Mapping) and depth:
        for key, value in loaded.items():
            if isinstance(key, str):  # an optimiser's are numbers
                yield from _states(value, f"{prefix}.{key}" if prefix else key, depth - 1)


def _kind(loaded: Any) -> str:
    if not isinstance(loaded, Mapping):
        return f"a {type(loaded).__name__}"
    names = listing([str(key) for key in loaded])
    return f"a dictionary of {names}" if loaded else "an empty dictionary"


def _are_equal(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(k, str) and isinstance(t, torch.Tensor) for k, t in value.items())
    )


def _is_plain(tensor: torch.Tensor) -> bool:
    dense = tensor.layout == torch.strided and not tensor.is_quantized
    return dense and not tensor.is_meta and not tensor.is_complex()


def _strip_prefixes(state: State) -> State:
    state = {key.replace(COMPILED, ""): tensor for key, tensor in state.items()}
    state.pop(AVERAGED, None)
    for prefix in PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            return _strip_prefixes({key.removeprefix(prefix): t for key, t in state.items()})
    return state
