"""A ROS 2 node that denoises a topic of images: subscribes to `image`, publishes `image_denoised`.

python examples/ros2_node.py --ros-args -r image:=/camera/image_raw
"""

import contextlib

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from aeinfer import AEInfer
from aeinfer.ros import denoise_message


class Denoise(Node):
    def __init__(self) -> None:
        super().__init__("denoise")
        self._ae = AEInfer.load("photo-fast")
        self._ae.warmup()
        self._publisher = self.create_publisher(Image, "image_denoised", 1)
        # one image waits, the latest: what comes while another is being denoised takes its place
        latest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self._denoise, latest)

    def _denoise(self, message: Image) -> None:
        self._publisher.publish(denoise_message(self._ae, message))


def main() -> None:
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):  # Ctrl-C, and what launch files send
        rclpy.spin(Denoise())
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
