"""The GStreamer element aeinferdenoise: denoises raw video in place; what goes wrong is a message on the bus.

gst-launch-1.0 v4l2src ! videoconvert ! video/x-raw,format=BGRx ! aeinferdenoise ! videoconvert \\
    ! autovideosink sync=false
"""

import sys
from pathlib import Path

import gi

# GStreamer runs the system's Python, which does not know the environment that aeinfer was installed into
SITE = str(Path(__file__).resolve().parents[3])
if SITE not in sys.path:
    sys.path.insert(0, SITE)

gi.require_version("GstBase", "1.0")
gi.require_version("GstVideo", "1.0")

from gi.repository import GObject, Gst, GstBase, GstVideo  # noqa: E402

import aeinfer  # noqa: E402
from aeinfer.gstreamer import Frame  # noqa: E402
from aeinfer.planes import FORMATS  # noqa: E402

__all__ = ["AEInferDenoise"]

FOREIGN = "GRAY16_BE" if sys.byteorder == "little" else "GRAY16_LE"
TAKEN = [name for name in FORMATS if name != FOREIGN]
CAPS = Gst.Caps.from_string(f"video/x-raw, format=(string){{{', '.join(TAKEN)}}}")
READY = GObject.ParamFlags.READWRITE | Gst.PARAM_MUTABLE_READY


class AEInferDenoise(GstBase.BaseTransform):  # type: ignore[misc] # gi has no types
    """Denoises each frame where it lies; timestamps, metadata, alpha and colour planes stay as they are."""

    __gtype_name__ = "AEInferDenoise"
    __gstmetadata__ = (
        "aeinfer denoiser",
        "Filter/Effect/Video",
        "Removes noise from video with a small autoencoder",
        "The authors of aeinfer",
    )
    __gsttemplates__ = (
        Gst.PadTemplate.new("sink", Gst.PadDirection.SINK, Gst.PadPresence.ALWAYS, CAPS),
        Gst.PadTemplate.new("src", Gst.PadDirection.SRC, Gst.PadPresence.ALWAYS, CAPS),
    )

    model = GObject.Property(
        type=str,
        default="photo-fast",
        nick="Model",
        blurb="Name of a packaged model, or path of an .onnx file",
        flags=READY,
    )
    precision = GObject.Property(
        type=str, default="auto", nick="Precision", blurb="auto, fp32, fp16 or int8", flags=READY
    )
    device = GObject.Property(
        type=str, default="auto", nick="Device", blurb="auto, cpu, cuda, cuda:N or tensorrt", flags=READY
    )
    threads = GObject.Property(
        type=int,
        default=0,
        minimum=0,
        nick="Threads",
        blurb="Threads of the network; 0 is as many as are free",
        flags=READY,
    )
    strength = GObject.Property(
        type=float,
        default=1.0,
        minimum=0.0,
        maximum=1.0,
        nick="Strength",
        blurb="From 0, the input, to 1, the full result",
        flags=GObject.ParamFlags.READWRITE | Gst.PARAM_MUTABLE_PLAYING,
    )

    temporal = GObject.Property(
        type=bool,
        default=False,
        nick="Temporal",
        blurb="Before the network, average over time what stands still",
        flags=READY,
    )

    def __init__(self) -> None:
        super().__init__()
        self.set_qos_enabled(True)  # frames that a sink calls late are dropped before they are denoised, not after

    def do_start(self) -> bool:
        try:
            self._ae = aeinfer.AEInfer.load(
                self.model, precision=self.precision, device=self.device, threads=self.threads or None
            )
            self._ae.warmup()
        except (aeinfer.AEInferError, MemoryError) as error:
            self._complain(Gst.LibraryError.quark(), Gst.LibraryError.INIT, str(error) or "not enough memory")
            return False
        except ImportError as error:  # numpy's, where the environment is another Python's
            text = f"Python {sys.version_info[0]}.{sys.version_info[1]}, the one that GStreamer runs, cannot import "
            text += f"{error.name or 'a library'}: make aeinfer's environment with /usr/bin/python3 -m venv"
            self._complain(Gst.LibraryError.quark(), Gst.LibraryError.INIT, text, str(error))
            return False
        return True

    def do_stop(self) -> bool:
        self._ae.close()
        return True

    def do_set_caps(self, incaps: Gst.Caps, _outcaps: Gst.Caps) -> bool:
        self._info = GstVideo.VideoInfo.new_from_caps(incaps)
        from aeinfer.temporal import TemporalFilter  # after do_start, which says so where numpy cannot be imported

        self._steady = TemporalFilter() if self.temporal else None
        return True

    def do_transform_ip(self, buffer: Gst.Buffer) -> Gst.FlowReturn:
        try:
            with Frame(buffer, self._info, writable=True) as frame:
                if self._steady is not None:
                    self._steady(frame.pixels, out=frame.pixels)
                self._ae(frame.pixels, out=frame.pixels, strength=self.strength)
        except (aeinfer.AEInferError, MemoryError) as error:
            self._complain(Gst.StreamError.quark(), Gst.StreamError.FAILED, str(error) or "not enough memory")
            return Gst.FlowReturn.ERROR
        return Gst.FlowReturn.OK

    def _complain(self, domain: int, code: int, text: str, more: str | None = None) -> None:
        self.message_full(Gst.MessageType.ERROR, domain, code, text, more, Path(__file__).name, "", 0)


GObject.type_register(AEInferDenoise)
__gstelementfactory__ = ("aeinferdenoise", Gst.Rank.NONE, AEInferDenoise)
