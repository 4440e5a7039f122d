"""One seed for each object of a data set."""

import zlib

from pointcmt.files import name_bytes


def object_seed(seed: int, name: str) -> int:
    """Give each object random numbers of its own, the same wherever its folder stands.

    Args:
        seed: the data set's, at least 0.
        name: the object's, unique in the data set.
    """
    return seed << 32 | zlib.crc32(name_bytes(name))
