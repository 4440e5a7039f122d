"""The points in a `sensor_msgs/msg/PointCloud2`, by the layout that the message describes.

Of the message only its attributes are used, so any object that has them will do, ROS or not.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

# sensor_msgs/msg/PointField: the numbers of its data types.
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
AXES = ("x", "y", "z")


def read_points(message: Any) -> NDArray[np.float32]:
    """Return the finite points of a message, organised or not.

    Args:
        message: has `height`, `width`, `fields`, `is_bigendian`, `point_step`, `row_step` and
            `data`, as PointCloud2 does.

    Returns:
        (N, 3) float32, in the message's frame and unit (metres, by ROS' convention).

    Raises:
        InputError: there is no x, y or z, or the data are shorter than the layout says.
    """
    layout = _layout(message)
    needed = message.row_step * (message.height - 1) + message.point_step * message.width
    if message.width < 1 or message.height < 1 or len(message.data) < needed:
        raise InputError(
            f"the message has {len(message.data)} bytes; its {message.height} rows of "
            f"{message.width} points take {needed}"
        )
    table = np.ndarray(
        (message.height, message.width),
        layout,
        bytes(message.data),
        strides=(message.row_step, message.point_step),
    )
    points = np.stack([table[axis] for axis in AXES], axis=-1).reshape(-1, 3)
    points = points.astype(np.float32)
    return points[np.isfinite(points).all(axis=1)]  # a scanner writes NaN where nothing came back


def _layout(message: Any) -> np.dtype[Any]:
    fields = {field.name: field for field in message.fields}
    missing = [axis for axis in AXES if axis not in fields]
    if missing:
        raise InputError(f"the message has no field {missing[0]}; it has {', '.join(fields)}")
    order = ">" if message.is_bigendian else "<"
    odd = [axis for axis in AXES if fields[axis].datatype not in TYPES]
    if odd:
        raise InputError(f"field {odd[0]} has the unknown type {fields[odd[0]].datatype}")
    formats = [order + TYPES[fields[axis].datatype] for axis in AXES]
    offsets = [fields[axis].offset for axis in AXES]
    ends = [o + np.dtype(f).itemsize for o, f in zip(offsets, formats, strict=True)]
    if max(ends) > message.point_step:
        raise InputError(f"a point of {message.point_step} bytes has no room for its fields")
    return np.dtype(
        {
            "names": list(AXES),
            "formats": formats,
            "offsets": offsets,
            "itemsize": message.point_step,
        }
    )
