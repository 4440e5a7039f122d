"""A ROS 2 node that names what each segmented cloud shows.

    ros2 run ... or: python3 examples/ros2/classify_node.py --ros-args -p model:=DIR

Subscribes to `objects` (sensor_msgs/msg/PointCloud2: one object a message, as a segmentation or a
cropping node publishes them) and publishes `label` (std_msgs/msg/String, JSON: the stamp and frame
of the cloud, its label and probability). The newest cloud counts: a queue of one, and no backlog.
"""

import json
import sys
from pathlib import Path

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from pointcmt.errors import InputError
from pointcmt_serve import Classifier

sys.path.insert(0, str(Path(__file__).parent))
from point_cloud2 import read_points


class ClassifyNode(Node):
    """Classifies each cloud that comes."""

    def __init__(self) -> None:
        super().__init__("pointcmt")
        self.declare_parameter("model", "")
        self.declare_parameter("device", "auto")
        model, device = (self.get_parameter(name).value for name in ("model", "device"))
        self.classifier = Classifier(model, device=device)
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.labels = self.create_publisher(String, "label", 10)
        self.create_subscription(PointCloud2, "objects", self.classify, newest)

    def classify(self, message: PointCloud2) -> None:
        """Publish the label of one cloud; log one that cannot be classified."""
        try:
            (answer,) = self.classifier(read_points(message))
        except InputError as error:
            self.get_logger().warning(str(error))
            return
        stamp = message.header.stamp
        record = {
            "stamp": stamp.sec + stamp.nanosec * 1e-9,
            "frame": message.header.frame_id,
            "label": answer.label,
            "probability": answer.probability,
        }
        self.labels.publish(String(data=json.dumps(record)))


def main() -> None:
    """Run the node until it is ended."""
    rclpy.init()
    rclpy.spin(ClassifyNode())


if __name__ == "__main__":
    main()
