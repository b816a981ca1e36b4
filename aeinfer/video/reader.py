"""Takes a video file apart: the frames of one stream, decoded, and the packets of all others as they are."""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import av.logging
from av import CodecContext, Packet, VideoFrame
from av.format import Flags
from av.stream import Disposition

from aeinfer.errors import ImageReadError
from aeinfer.video.clock import Clock

__all__ = ["VideoReader"]


LISTS = (".ffconcat", ".txt")
"""What files are called that name other files for FFmpeg to join. Others must not: it looks at the content alone."""


class VideoReader:
    """A video file; the file is closed with the last reference to this, because a thread may still be decoding.

    Parameters
    ----------
    path : Path
    threads : int, optional
        Of the decoder.

    Attributes
    ----------
    container : av.container.InputContainer
    stream : av.VideoStream
        The one whose frames are decoded.
    first : av.VideoFrame
        Says what all frames are like; the file itself may be wrong.
    early : list of av.Packet
        The other streams', that came before it.
    total : int
        How many frames there should be; 0 where nothing tells.
    undecodable, damaged, untimely : int
        Packets that the decoder refused; frames that it says are damaged, which are kept; and frames that were left out
        because their time does not come after the one before. So far.
    jumps : int
        How often times jumped back, and were made to go on.
    begins_later : bool
        There was a stream that the beginning of the file does not tell of, whose packets were left out.
    breaks_off : str or None
        Why reading ended before the file did, or what shows that the file ends too early.

    Raises
    ------
    ImageReadError
        The file cannot be read, is no video, has no video stream, or none of its frames can be decoded.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.undecodable = self.damaged = self.untimely = 0
        self.begins_later = False
        self.breaks_off: str | None = None
        try:
            self.container = av.open(f"file:{path}", metadata_errors="surrogateescape")
        except (av.FFmpegError, OSError) as error:
            raise ImageReadError(f"{path}: cannot be read as a video: {error.strerror or error}") from error
        if self.container.format.name == "concat" and path.suffix.lower() not in LISTS:  # somebody's way to other files
            raise ImageReadError(f"{path}: a list of videos, not a video: name it .ffconcat to have them joined")
        stream = self.container.streams.best("video")
        if stream is None or stream.codec_context is None or stream.disposition & Disposition.attached_pic:
            raise ImageReadError(f"{path}: has no video stream that can be decoded")
        self.stream = stream
        self._decoder = _decoder_of(stream)
        self._decoder.thread_count = threads or 0
        self._last: int | None = None
        self._clock = Clock()
        self._rest = self._events()
        *self.early, self.first = _up_to_first_frame(self._rest, path)

    @property
    def jumps(self) -> int:
        return self._clock.jumps

    @property
    def total(self) -> int:
        if self.stream.frames or not self.rate:
            return int(self.stream.frames)
        seconds = float((self.container.duration or 0) / av.time_base)
        return round(seconds * float(self.rate))

    @property
    def rate(self) -> Fraction | None:
        """Frames a second; the average alone is that of a stream's ticks where it is of raw DV."""
        return min(filter(None, (self.stream.average_rate, self.stream.guessed_rate)), default=None)

    def frames(self, copy: Callable[[Packet], None]) -> Iterator[VideoFrame]:
        """Yield the frames in the order of their times, once.

        Parameters
        ----------
        copy : callable
            Takes each packet of another stream, in the order of the file.

        Raises
        ------
        ImageReadError
            The disk refuses, or a frame has another size or pixel format than the first.
        """
        count = 0
        expected = _shape(self.first)
        for event in chain(self.early, [self.first], self._rest):
            if isinstance(event, Packet):
                copy(event)
                continue
            count += 1
            if _shape(event) != expected:
                raise ImageReadError(
                    f"{self.path}: frame {count} is {_shape(event)}, those before it are {expected}; one stream cannot "
                    "hold both: split the file there"
                )
            self.damaged += event.is_corrupt
            yield event

    def _events(self) -> Iterator[Packet | VideoFrame]:
        for packet in self._packets():
            if packet.stream is self.stream:
                yield from filter(self._is_timely, self._decode(packet))
            else:
                yield packet

    def _packets(self) -> Iterator[Packet]:
        """Yield all that hold something, then an empty one of the video stream, which makes its decoder give the rest.

        An empty one before the end, as Theora has them for frames that repeat, would do that as well.
        """
        may_jump = bool(self.container.format.flags & Flags.ts_discont.value)
        until, count = 0.0, 1
        try:
            for packet in self.container.demux():
                if not packet.size:
                    continue
                if may_jump:
                    self._clock.set(packet)
                until, count = max(until, _end(packet)), count + (packet.stream is self.stream)
                yield packet
            self.breaks_off = _what_lacks(self.container, until, 0.5 + 2 * until / count)
        except IndexError:  # PyAV may have met a stream that it did not know at the beginning
            pass
        except av.InvalidDataError as error:  # such as the end of a file that was cut
            self.breaks_off = error.strerror
        except (av.FFmpegError, OSError) as error:
            raise ImageReadError(f"{self.path}: reading fails: {error.strerror or error}") from error
        self.begins_later = _streams_of(self.container) > len(self.container.streams)
        last = Packet()
        last.stream, last.time_base = self.stream, self.stream.time_base
        yield last

    def _decode(self, packet: Packet) -> list[VideoFrame]:
        try:
            return list(self._decoder.decode(packet))
        except av.FFmpegError:
            self.undecodable += 1
            return []

    def _is_timely(self, frame: VideoFrame) -> bool:
        """Give a frame without a time one, and tell whether its time comes after that of the frame before."""
        if self.container.format.name == "avi":  # numbers frames as they are decoded; libavformat's guess may be wrong
            frame.pts = frame.dts
        if frame.pts is None:
            frame.pts = frame.dts if frame.dts is not None else self._next_time(frame)
        if self._last is not None and frame.pts <= self._last:
            self.untimely += 1
            return False
        self._last = frame.pts
        return True

    def _next_time(self, frame: VideoFrame) -> int:
        step = frame.duration or round(1 / ((self.rate or 25) * self.stream.time_base))
        return 0 if self._last is None else self._last + max(step, 1)


def _decoder_of(stream: Any) -> Any:
    """Return what decodes a stream, with its alpha: FFmpeg's own decoders of VP8 and VP9 leave that out."""
    alpha = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    better = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.name) if alpha else None
    if better not in av.codecs_available:
        return stream.codec_context
    decoder = CodecContext.create(better, "r")
    decoder.extradata = stream.codec_context.extradata
    return decoder


def _end(packet: Packet) -> float:
    """Return when a packet is over, in seconds."""
    start = packet.pts if packet.pts is not None else packet.dts
    return 0.0 if start is None else float((start + (packet.duration or 0)) * packet.time_base)


def _what_lacks(container: Any, until: float, tolerance: float) -> str | None:
    """Tell by what a container says of itself what lacks at its end, though that reads like any other.

    Parameters
    ----------
    container : av.container.InputContainer
        Read to its end.
    until, tolerance : float
        Seconds: when the last of its packets was over, and by how much a length that it tells may be wrong.
    """
    entries = (entry for stream in container.streams for entry in stream.index_entries)
    if any(entry.pos + entry.size > container.size for entry in entries):
        return "its index tells of more than it holds"
    duration = (container.duration or 0) / av.time_base
    # others do not say it themselves: libavformat guesses
    if container.format.name in ("matroska,webm", "flv") and until + tolerance < duration:
        return f"it holds {until:.1f} of {duration:.1f} s"
    return None


def _streams_of(container: Any) -> int:
    """Count a container's streams, those met while reading too, which `container.streams` never has.

    That a file has such ones PyAV raises by luck alone: it looks into memory that is not its own.
    """
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # else libavformat tells nothing
    try:
        told: str = container.dumps_format()
    finally:
        av.logging.set_level(before)
    return len(set(re.findall(r"\n  Stream #0:(\d+)", told)))  # one of two programs is told of twice


def _up_to_first_frame(events: Iterator[Any], path: Path) -> Iterator[Any]:
    for event in events:
        yield event
        if isinstance(event, VideoFrame):
            return
    raise ImageReadError(f"{path}: none of its frames can be decoded")


def _shape(frame: VideoFrame) -> str:
    return f"{frame.width}x{frame.height} {frame.format.name}"
