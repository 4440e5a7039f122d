"""PointCloud2's byte layout, packed by `struct` from the message's definition; and the node."""

import json
import runpy
import struct
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from pointcmt.errors import InputError
from tests.reference.tiny_student import METADATA, tiny_model

FOLDER = Path(__file__).parents[2] / "examples" / "ros2"
read_points = runpy.run_path(str(FOLDER / "point_cloud2.py"))["read_points"]
POINTS = [(1.0, 2.0, 3.0), (-4.5, 5.5, 6.25), (7.0, 8.0, -9.0), (0.5, 0.25, 0.125)]

STAMP = SimpleNamespace(sec=3, nanosec=500_000_000)


def field(name: str, offset: int, datatype: int = 7) -> SimpleNamespace:
    return SimpleNamespace(name=name, offset=offset, datatype=datatype, count=1)


def message(**changes: Any) -> SimpleNamespace:
    """Two rows of two points: x y z, 4 bytes unused, intensity and ring; 8 bytes end a row."""
    order = ">" if changes.get("is_bigendian") else "<"
    rows = [
        b"".join(struct.pack(order + "fff4xfH2x", *point, 0.7, 5) for point in row) + bytes(8)
        for row in (POINTS[:2], POINTS[2:])
    ]
    fields = [field("x", 0), field("y", 4), field("z", 8), field("intensity", 16)]
    layout = {
        "height": 2, "width": 2, "fields": [*fields, field("ring", 20, 4)],
        "is_bigendian": False, "point_step": 24, "row_step": 56, "data": b"".join(rows),
        "header": SimpleNamespace(frame_id="lidar", stamp=STAMP),
    }  # fmt: skip
    return SimpleNamespace(**(layout | changes))


@pytest.mark.parametrize("is_bigendian", [False, True])
def test_points_are_read_by_the_layout(is_bigendian: bool) -> None:
    found = read_points(message(is_bigendian=is_bigendian))
    np.testing.assert_array_equal(found, np.array(POINTS, np.float32))


def test_fields_may_have_any_type_and_order() -> None:
    data = b"".join(struct.pack("<dhf", z, int(x * 2), y) for x, y, z in POINTS)
    fields = [field("z", 0, 8), field("x", 8, 3), field("y", 10, 7)]
    found = read_points(
        message(height=1, width=4, fields=fields, point_step=14, row_step=56, data=data)
    )
    np.testing.assert_array_equal(found, np.array(POINTS, np.float32) * [2, 1, 1])


def test_where_nothing_came_back_there_is_no_point() -> None:
    cloud = bytearray(message().data)
    cloud[24:28] = struct.pack("<f", float("nan"))
    found = read_points(message(data=list(cloud)))
    np.testing.assert_array_equal(found, np.array(POINTS, np.float32)[[0, 2, 3]])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"fields": [field("x", 0), field("y", 4)]}, "no field z"),
        ({"data": bytes(60)}, "60 bytes"),
        ({"width": 0}, "rows of 0"),
        ({"point_step": 11}, "no room"),
        ({"fields": [field(axis, 0, 99) for axis in "xyz"]}, "unknown type 99"),
    ],
)
def test_a_message_that_contradicts_itself_is_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        read_points(message(**changes))


class Node:
    """What the node uses of `rclpy.node.Node`."""

    def __init__(self, _: str) -> None:
        self.published: list[str] = []
        self.warned: list[str] = []

    def declare_parameter(self, name: str, value: str) -> None:
        self.parameters = {**getattr(self, "parameters", {}), name: value}

    def get_parameter(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(value={"model": MODEL[0], "device": "cpu"}[name])

    def create_publisher(self, *_: Any) -> SimpleNamespace:
        return SimpleNamespace(publish=lambda text: self.published.append(text.data))

    def create_subscription(self, *_: Any) -> None:
        pass

    def get_logger(self) -> SimpleNamespace:
        return SimpleNamespace(warning=self.warned.append)


MODEL: list[str] = []


def module(name: str, **content: Any) -> ModuleType:
    found = ModuleType(name)
    vars(found).update(content)
    return found


def test_the_node_publishes_a_label_for_each_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(tiny_model(METADATA), tmp_path / "model.onnx")
    MODEL[:] = [str(tmp_path)]
    quality = SimpleNamespace(BEST_EFFORT=2)
    stand_ins = [
        module("rclpy"), module("rclpy.node", Node=Node),
        module("rclpy.qos", QoSProfile=SimpleNamespace, ReliabilityPolicy=quality),
        module("sensor_msgs"), module("sensor_msgs.msg", PointCloud2=object),
        module("std_msgs"), module("std_msgs.msg", String=SimpleNamespace),
    ]  # fmt: skip
    for stand_in in stand_ins:
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.setattr(sys, "path", [*sys.path])
    node = runpy.run_path(str(FOLDER / "classify_node.py"))["ClassifyNode"]()
    node.classify(message())
    node.classify(message(data=b""))
    (text,) = node.published
    record = json.loads(text)
    assert (record["stamp"], record["frame"]) == (3.5, "lidar")
    points: NDArray[np.float32] = np.array(POINTS, np.float32)
    assert record["label"] == node.classifier(points)[0].label
    assert len(node.warned) == 1
