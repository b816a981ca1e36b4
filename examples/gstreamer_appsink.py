r"""Denoise frames between an appsink and an appsrc of one's own: prints how many there were.

python examples/gstreamer_appsink.py                                    a test picture in a window
python examples/gstreamer_appsink.py "v4l2src ! videoconvert ! video/x-raw,format=BGR" \
    "videoconvert ! jpegenc ! avimux ! filesink location=clean.avi"     a camera, until Ctrl-C
"""

import contextlib
import sys
from collections.abc import Iterator

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402

from aeinfer import AEInfer  # noqa: E402
from aeinfer.gstreamer import buffer_of, frame_of  # noqa: E402

SOURCE = "videotestsrc num-buffers=300 ! video/x-raw,format=BGR,width=640,height=480"
SINK = "videoconvert ! autovideosink sync=false"


def main() -> None:
    before, after = sys.argv[1:] or (SOURCE, SINK)
    Gst.init(None)
    # two pipelines: in one, neither half would play before the other's sink has seen a frame
    source = Gst.parse_launch(f"{before} ! appsink name=noisy max-buffers=2 sync=false")
    sink = Gst.parse_launch(f"appsrc name=clean format=time ! {after}")
    clean, count = sink.get_by_name("clean"), 0
    ae = AEInfer.load("photo-fast")
    ae.warmup()  # before a camera starts, which does not wait
    try:
        source.set_state(Gst.State.PLAYING)
        sink.set_state(Gst.State.PLAYING)
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a camera's job ends
            for sample in samples(source):
                with frame_of(sample) as frame:
                    pixels = ae(frame.pixels)
                clean.set_property("caps", sample.get_caps())
                clean.emit("push-buffer", buffer_of(pixels, like=sample))
                count += 1
                has_ended(sink, 0)  # where it fails, as when its window is closed
        clean.emit("end-of-stream")
        has_ended(sink, Gst.CLOCK_TIME_NONE)
    finally:
        source.set_state(Gst.State.NULL)
        sink.set_state(Gst.State.NULL)
    print(f"{count} frames")


def samples(pipeline: Gst.Pipeline) -> Iterator[Gst.Sample]:
    appsink = pipeline.get_by_name("noisy")
    while True:
        if (sample := appsink.emit("try-pull-sample", Gst.SECOND // 10)) is not None:
            yield sample
        elif has_ended(pipeline, 0):
            return


def has_ended(pipeline: Gst.Pipeline, nanoseconds: int) -> bool:
    """Wait so long for the end of a pipeline; an error of it ends the program."""
    message = pipeline.get_bus().timed_pop_filtered(nanoseconds, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    if message is not None and message.type == Gst.MessageType.ERROR:
        raise SystemExit(message.parse_error()[0].message)
    return message is not None


if __name__ == "__main__":
    main()
