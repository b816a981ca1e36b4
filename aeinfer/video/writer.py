"""Puts a video file together: new frames for one stream, the other streams' packets and all that files say, as it was.

The file is written whole or not at all, under another name until it is complete.
"""

import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import av
from av import Packet
from av.codec.context import Flags
from av.format import Flags as ContainerFlags
from av.stream import Discard, Disposition
from av.video.reformatter import ColorRange

from aeinfer.atomic import replacing
from aeinfer.errors import AEInferError, ImageReadError, ImageWriteError, InputError
from aeinfer.video.encoding import Encoding, choose_codec, choose_format, holds, options_for
from aeinfer.video.pixels import Colour, Luma, VideoPicture, Way, has_alpha, is_rgb
from aeinfer.video.reader import VideoReader
from aeinfer.video.side_data import side_data

__all__ = ["VideoWriter"]

MOV = {"mov", "mp4"}
LIKE_MP4 = {"ipod", "3gp", "3g2", "psp", "f4v"}
"""Containers that hold the time of each frame and do not say so."""

TAGS = {"color_range": "range", "color_primaries": "primaries", "color_trc": "transfer", "colorspace": "matrix"}
"""What frames and encoders call the colour tags, and people."""

UNSPECIFIED = {"color_range": 0, "color_primaries": 2, "color_trc": 2, "colorspace": 2}

HDR = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DOVI_METADATA")
IN_ORDER = 2  # so few frames are decoded in the order in which they are shown
STALE = ("BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS", "ENCODER", "ALPHA_MODE")
"""Beginnings of what metadata says of the encoded frames that are gone."""


class VideoWriter:
    """The new file, begun; `VideoWriter.open` gives one that is complete or absent in the end.

    Attributes
    ----------
    codec, pix_fmt : str
        What frames are encoded to.
    left_out : list of str
        What the new file does not keep, each with the reason.
    """

    def __init__(self, path: str, container_format: str, reader: VideoReader, wish: Encoding) -> None:
        options = _container_options(container_format, reader)
        self._container = av.open(
            path, "w", format=container_format, container_options=options, metadata_errors="surrogateescape"
        )
        self._lock = threading.Lock()  # a reading thread copies while another writes
        self._open = True
        self.left_out: list[str] = []
        codec = choose_codec(container_format, wish)
        source = reader.first.format
        self.codec, self.pix_fmt = codec.name, choose_format(codec, source, wish)
        is_grey = source.name == self.pix_fmt and source.name.startswith("gray")
        self._way: Way = Luma(source.name) if wish.luma or is_grey else Colour(source.name, self.pix_fmt)
        self._copies: dict[int, Any] = {}
        self._came: set[int] = set()
        self._written = 0
        self._refused: Counter[Any] = Counter()
        for stream in reader.container.streams:
            if stream is reader.stream:
                self._stream = self._add_encoder(reader, wish)
            else:
                self._add_copy(stream, reader.early)
        self._tell(reader)
        self._container.metadata.update(reader.container.metadata)
        self._container.set_chapters(reader.container.chapters())
        self._container.start_encoding()

    @classmethod
    @contextmanager
    def open(cls, target: Path, reader: VideoReader, wish: Encoding | None = None) -> Iterator[Self]:
        """Write a file: at the end of the block it is there, where the block fails it is not, nor anything of it.

        Parameters
        ----------
        target : Path
            Its suffix chooses the container; a file that is there is replaced.
        reader : VideoReader
            Whose frames, packets and metadata it gets.
        wish : Encoding, optional

        Raises
        ------
        InputError
            The suffix is unknown, or what was asked for does not fit; nothing has been written then.
        ImageWriteError
            The disk or the container refuses.
        """
        container_format = _format_of(target)
        try:
            with replacing(target) as part:
                writer = cls(f"file:{part.name}", container_format, reader, wish or Encoding())
                try:
                    yield writer
                    writer._finish()
                    again = _read_again(Path(part.name), container_format, writer.codec)
                    writer.left_out += [*writer._unreadable(reader, again), *_missing(reader, again)]
                    again.container.close()  # Windows gives no open file another name
                finally:
                    writer._close()
        except AEInferError:
            raise
        except (av.FFmpegError, OSError) as error:
            raise ImageWriteError(f"{target}: cannot be written: {error.strerror or error}") from error

    def pictures(self, reader: VideoReader) -> Iterator[VideoPicture]:
        """Yield what is to be changed of each frame, and copy all else that the reader comes across."""
        return map(self._way.open, reader.frames(self._copy))

    def write(self, picture: VideoPicture) -> None:
        """Encode one frame."""
        frame = self._way.close(picture)
        frame.pict_type = 0  # as the encoder likes it, not as it was
        self._written += 1
        self._mux(self._stream.encode(frame))

    def _copy(self, packet: Packet) -> None:
        source = packet.stream
        if source.index not in self._copies:
            return
        self._came.add(source.index)
        packet.stream = self._copies[source.index]
        try:
            self._mux([packet])
        except (av.InvalidDataError, av.ArgumentError):  # what packets are like, not what the disk says
            self._refused[_named(source)] += 1

    def _mux(self, packets: list[Packet]) -> None:
        with self._lock:
            if self._open:  # a thread that was given up may still come here
                self._container.mux(packets)

    def _finish(self) -> None:
        packets = self._stream.encode(None)
        if self._written <= IN_ORDER:  # libx265 gives them decoding times from memory that nobody has written
            for packet in packets:
                packet.dts = packet.pts
        self._mux(packets)
        with self._lock:
            self._open = False
            self._container.close()
        name = self._container.format.name
        self.left_out += [f"{count} packets of {what}: {name} refuses them" for what, count in self._refused.items()]

    def _close(self) -> None:
        with self._lock, suppress(av.FFmpegError, OSError):  # what went wrong has been told, and the part goes
            self._open = False
            self._container.close()

    def _add_encoder(self, reader: VideoReader, wish: Encoding) -> Any:
        source = reader.stream
        size = {"width": reader.first.width, "height": reader.first.height}
        try:
            stream = self._container.add_stream(self.codec, reader.rate or 25, **size)
        except ValueError as error:
            raise _unfit(self._container.format.name, self.codec) from error
        stream.time_base = source.time_base
        context = stream.codec_context
        context.options = options_for(context, wish)
        context.time_base = source.time_base
        context.pix_fmt = self.pix_fmt
        context.thread_count = wish.threads or 0
        context.flags |= Flags.frame_duration
        if context.codec.canonical_name == "hevc" and self._container.format.name in MOV:
            context.codec_tag = "hvc1"  # Apple's players play no other
        self._describe(stream, reader)
        try:
            context.open()
        except av.FFmpegError as error:
            options = ", ".join(f"{name} {value}" for name, value in context.options.items())
            raise InputError(
                f"{self.codec} does not start for {reader.first.width}x{reader.first.height} {self.pix_fmt} "
                f"with {options or 'its own options'}: {error.strerror}"
            ) from error
        return stream

    def _describe(self, stream: Any, reader: VideoReader) -> None:
        """Say of the new frames what was said of the old ones."""
        source, context = reader.stream, stream.codec_context
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        if reader.first.interlaced_frame:
            context.flags |= Flags.interlaced_dct
            context.field_order = source.codec_context.field_order
        example = self._way.close(self._way.open(reader.first))
        for tag in TAGS:
            setattr(context, tag, getattr(example, tag))
        matrix = side_data(reader.first, "DISPLAYMATRIX")
        if matrix is not None:
            stream.set_display_matrix(struct.unpack("9i", bytes(matrix)))
        _carry(source, stream, stale=STALE)

    def _add_copy(self, stream: Any, early: list[Packet]) -> None:
        if stream.discard == Discard.all or (stream.type == "data" and "timecode" in stream.metadata):
            return  # chapters' names and the timecode: the muxer makes tracks of them anew
        if self._attach(stream, early):
            return
        if holds(self._container.format.name, lambda trial: trial.add_stream_from_template(stream, opaque=True)):
            copy = self._container.add_stream_from_template(stream, opaque=True)
            _carry(stream, copy)
            self._copies[stream.index] = copy
        else:
            self.left_out.append(f"{_named(stream)}: {self._container.format.name} does not hold it as it is")

    def _attach(self, stream: Any, early: list[Packet]) -> bool:
        """Tell whether a stream is a cover, and make of it the attachment that Matroska has for that."""
        is_cover = stream.type == "video" and stream.disposition & Disposition.attached_pic
        picture = next((packet for packet in early if packet.stream is stream), None)
        if not (is_cover and picture and self._container.format.name == "matroska"):
            return False
        kind = {"mjpeg": "jpeg"}.get(stream.codec_context.name, stream.codec_context.name)
        names = {"filename": f"cover.{kind}", "mimetype": f"image/{kind}"} | stream.metadata
        self._container.add_attachment(names["filename"], names["mimetype"], bytes(picture))
        return True

    def _unreadable(self, before: VideoReader, after: VideoReader) -> Iterator[str]:
        """Yield the streams that a container took and does not say what they are."""
        kept = Counter(before.container.streams[index].type for index in self._came)  # others are not missed
        found = Counter(stream.type for stream in after.container.streams if stream is not after.stream)
        for kind, count in (kept - found).items():
            yield f"{count} {kind} streams: {after.container.format.name} does not say what they are, .mkv does"

    def _tell(self, reader: VideoReader) -> None:
        """Note what is lost on the way to the encoder."""
        source = reader.first.format.name
        if has_alpha(source) and not has_alpha(self.pix_fmt):
            self.left_out.append(f"alpha: {self.pix_fmt} has none; --codec ffv1 into .mkv keeps it")
        if any(side_data(reader.first, kind) is not None for kind in HDR):
            self.left_out.append("HDR metadata of the mastering display: PyAV cannot write it; colour tags are kept")


def _format_of(target: Path) -> str:
    """Return the name of the container that a suffix stands for."""
    try:
        chosen = av.open(str(target), "w").format  # touches no file
    except ValueError as error:
        raise InputError(f"{target}: no video container has this suffix; use .mp4, .mkv, .mov or .webm") from error
    if chosen.name not in LIKE_MP4 and not chosen.flags & ContainerFlags.variable_fps.value:
        raise InputError(f"{target}: {chosen.name} does not hold when each frame is; use .mp4, .mkv, .mov or .webm")
    return str(chosen.name)


def _container_options(name: str, reader: VideoReader) -> dict[str, str]:
    if name == "mpegts":
        return {"mpegts_copyts": "1"}  # as the times are
    options = {}
    if name in MOV | LIKE_MP4 and reader.first.pts < 0:
        options["avoid_negative_ts"] = "make_non_negative"  # these hide frames before zero, with an edit list
    if name in MOV and any("." in key for key in reader.container.metadata):
        # such as com.apple.quicktime.location, which have no box of their own
        options["movflags"] = "use_metadata_tags"
    return options


def _named(stream: Any) -> str:
    codec = getattr(stream.codec_context, "name", None) or getattr(stream, "name", None) or "of an unknown kind"
    return f"{stream.type} stream {stream.index} ({codec})"


def _carry(source: Any, target: Any, *, stale: tuple[str, ...] = ()) -> None:
    kept = {key: value for key, value in source.metadata.items() if not key.upper().startswith(stale)}
    target.metadata.update(kept)
    target.disposition = source.disposition


def _read_again(path: Path, container_format: str, codec: str) -> VideoReader:
    """Open what was written, as anyone would."""
    try:
        return VideoReader(path)
    except ImageReadError as error:
        raise _unfit(container_format, codec) from error


def _unfit(container_format: str, codec: str) -> InputError:
    return InputError(f"{container_format} does not hold what {codec} makes; .mkv holds nearly anything")


def _missing(before: VideoReader, after: VideoReader) -> Iterator[str]:
    """Yield what a new file, as anyone reads it, lacks of what it was given: not every container or codec takes it."""
    name = after.container.format.name
    if before.first.rotation != after.first.rotation:
        yield f"the rotation by {before.first.rotation} degrees: {name} does not hold it, .mp4 and .mkv do"
    chapters = len(before.container.chapters()) - len(after.container.chapters())
    if chapters > 0:
        yield f"{chapters} chapters: {name} does not hold them, .mp4 and .mkv do"
    aspects = [reader.stream.sample_aspect_ratio or 1 for reader in (before, after)]
    if aspects[0] != aspects[1]:
        yield f"the pixels' aspect ratio {aspects[0]}: this codec in {name} does not hold it, libx264 in .mp4 does"
    if before.first.interlaced_frame and not after.first.interlaced_frame:
        yield f"the flag of interlacing: this codec in {name} does not hold it, libx264 in .mp4 does"
    is_grey = len(before.first.format.components) < 3
    stays_rgb = is_rgb(before.first.format.name) == is_rgb(after.first.format.name)
    for tag, word in TAGS.items():
        if is_grey and tag == "colorspace":
            continue
        values = [getattr(reader.first, tag) for reader in (before, after)]
        if tag == "color_range" and values == [ColorRange.MPEG, ColorRange.UNSPECIFIED] and not is_grey:
            continue  # colours are in limited range where nothing is said
        if values[0] not in (UNSPECIFIED[tag], values[1]) and stays_rgb:
            yield f"the colours' {word} ({values[0]}): this codec in {name} does not hold it, libx264 in .mp4 does"
