"""Messages of ROS 2, of a class with the fields, slots and checks of the generated sensor_msgs/Image."""

import array
import runpy
import sys
import types
from typing import Any

import numpy as np
import pytest

from aeinfer import AEInfer, InputError
from aeinfer.ros import ENCODINGS, array_of, denoise_message
from tests.documented import ROOT, documented
from tests.pictures import pixels_of


class Image:
    """As rosidl generates it for rclpy: fields in slots, and data that are kept as array.array("B")."""

    __slots__ = ("_data", "encoding", "header", "height", "is_bigendian", "step", "width")

    def __init__(self, encoding: str, width: int, height: int, step: int, data: bytes, is_bigendian: int = 0) -> None:
        self.header = {"stamp": (12, 34), "frame_id": "camera"}
        self.encoding, self.width, self.height, self.step = encoding, width, height, step
        self.is_bigendian = is_bigendian
        self.data = array.array("B", data)

    @property
    def data(self) -> Any:
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        assert isinstance(value, array.array)
        assert value.typecode == "B"
        self._data = value


CHANNELS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "8UC3": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0]}
SAMPLES = {"rgb8": 3, "bgr8": 3, "8UC3": 3, "rgba8": 4, "bgra8": 4}


@pytest.mark.parametrize("encoding", CHANNELS)
def test_colours_are_denoised_and_all_else_is_kept(ae: AEInfer, encoding: str) -> None:
    width, samples = 11, SAMPLES[encoding]
    rows = pixels_of((7, width * samples + 5))
    message = Image(encoding, width, 7, rows.shape[1], rows.tobytes())
    pixels = rows[:, : width * samples].reshape(7, width, samples)
    rgb = np.ascontiguousarray(pixels[:, :, CHANNELS[encoding]])
    np.testing.assert_array_equal(array_of(message), rgb)

    result = denoise_message(ae, message)
    expected = rows.copy()
    expected[:, : width * samples].reshape(7, width, samples)[:, :, CHANNELS[encoding]] = ae(rgb)
    assert bytes(result.data) == expected.tobytes()
    assert bytes(message.data) == rows.tobytes()
    assert type(result) is Image
    for field in ("header", "encoding", "width", "height", "step", "is_bigendian"):
        assert getattr(result, field) == getattr(message, field)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey_messages_are_denoised(ae: AEInfer, encoding: str) -> None:
    rows = pixels_of((6, 13))
    result = denoise_message(ae, Image(encoding, 10, 6, 13, rows.tobytes()), strength=0.5)
    np.testing.assert_array_equal(array_of(result), ae(rows[:, :10].copy(), strength=0.5))


@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_sixteen_bits_in_either_byte_order(ae: AEInfer, encoding: str, order: str) -> None:
    pixels = pixels_of((6, 10)).astype(np.uint16) * 211
    data = (pixels if order == sys.byteorder else pixels.byteswap()).tobytes()
    message = Image(encoding, 10, 6, 20, data, is_bigendian=order == "big")
    np.testing.assert_array_equal(array_of(message), pixels)
    result = array_of(denoise_message(ae, message))
    np.testing.assert_array_equal(result, ae(pixels))
    assert (result != pixels).any()


def test_other_encodings_are_refused_with_a_list(ae: AEInfer) -> None:
    with pytest.raises(InputError, match=f"encodings are {', '.join(ENCODINGS)}, got 'bayer_rggb8'"):
        denoise_message(ae, Image("bayer_rggb8", 4, 4, 4, bytes(16)))


def test_data_that_do_not_fit_are_refused(ae: AEInfer) -> None:
    with pytest.raises(InputError, match="4x4 pixels of RGB take 48 bytes, got 47"):
        denoise_message(ae, Image("rgb8", 4, 4, 12, bytes(47)))


def test_documented_lines_run() -> None:
    rows = pixels_of((16, 60))
    names: dict[str, Any] = {"message": Image("bgr8", 20, 16, 60, rows.tobytes())}
    exec(documented("ros2.md", "ros2"), names)
    assert names["pixels"].shape == (16, 20, 3)
    assert bytes(names["clean"].data) != bytes(names["message"].data) == rows.tobytes()


class Node:
    """As rclpy's: what it subscribes to and publishes goes through lists."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.published: list[tuple[str, Any]] = []
        self.callbacks: dict[str, Any] = {}

    def create_publisher(self, kind: type, topic: str, depth: int) -> Any:
        assert (kind, depth) == (Image, 1)
        return types.SimpleNamespace(publish=lambda message: self.published.append((topic, message)))

    def create_subscription(self, kind: type, topic: str, callback: Any, profile: Any) -> None:
        assert kind is Image
        assert profile["depth"] == 1
        self.callbacks[topic] = callback


class ShutdownError(Exception):
    """What rclpy's spin raises where the context was shut down, as by SIGTERM; Ctrl-C is a KeyboardInterrupt."""


@pytest.mark.skipif(not (ROOT / "examples").exists(), reason="the examples are not here")
@pytest.mark.parametrize("end", [KeyboardInterrupt, ShutdownError])
def test_the_example_denoises_a_topic_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    message, nodes = Image("rgb8", 20, 16, 60, pixels_of((16, 60)).tobytes()), []
    shut_down: list[bool] = []

    def spin(node: Node) -> None:
        node.callbacks["image"](message)
        nodes.append(node)
        raise end

    modules = {
        "rclpy": {"init": lambda: None, "spin": spin, "try_shutdown": lambda: shut_down.append(True)},
        "rclpy.executors": {"ExternalShutdownException": ShutdownError},
        "rclpy.node": {"Node": Node},
        "rclpy.qos": {"QoSProfile": dict, "ReliabilityPolicy": types.SimpleNamespace(BEST_EFFORT=2)},
        "sensor_msgs": {},
        "sensor_msgs.msg": {"Image": Image},
    }
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    runpy.run_path(str(ROOT / "examples" / "ros2_node.py"), run_name="__main__")
    assert shut_down == [True]
    ((topic, clean),) = nodes[0].published
    assert topic == "image_denoised"
    np.testing.assert_array_equal(array_of(clean), AEInfer.load("photo-fast")(array_of(message)))
