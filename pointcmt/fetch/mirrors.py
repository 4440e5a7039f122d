"""Where an archive can be had: official addresses first, then public mirrors.

Digests are those that others have published; they belong to one file, and a mirror may hold the
same content packed anew. A file without a published digest is recorded at its first download.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mirror:
    """One address of an archive.

    Attributes:
        url: http or https; the file's name ends it.
        digest: `md5:...` or `sha256:...` of the archive, or None where nobody published one.
    """

    url: str
    digest: str | None = None


@dataclass(frozen=True)
class Archive:
    """An archive that unpacks to a folder.

    Attributes:
        folder: the folder that holds the unpacked files, under the data root.
        marker: a glob that must match in that folder, or the archive is another one.
        page: where a person finds the data, its terms and the way to ask for it.
        mirrors: tried in this order.
        gigabytes: size of the archive, rounded up, or None where it is not known; for the check of
            the disk, and to refuse a file that is much longer.
    """

    folder: str
    marker: str
    page: str
    mirrors: tuple[Mirror, ...]
    gigabytes: float | None


STANFORD = "https://shapenet.cs.stanford.edu/media/"
HUGGING_FACE = "https://huggingface.co/datasets/"
