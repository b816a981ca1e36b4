"""Small videos for the tests of video files, made with PyAV, and what is in one.

It is imported before aeinfer.video is: where PyAV is missing, it skips the tests.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av", reason='needs PyAV: pip install "aeinfer[video]"')

WIDTH, HEIGHT, COUNT = 64, 48, 12
TICKS = Fraction(1, 12800)


def frames_of(pix_fmt: str, count: int = COUNT, width: int = WIDTH, height: int = HEIGHT) -> Iterator[Any]:
    """Frames of smooth colours with noise, in any pixel format."""
    rng = np.random.default_rng(1)
    down, across = np.mgrid[:height, :width]
    for number in range(count):
        smooth = 90 + np.stack([across, down, (across + down) / 2 + number], axis=2)
        noisy = (smooth + rng.uniform(-15, 15, smooth.shape)).astype(np.uint8)  # colours that every matrix can hold
        frame = av.VideoFrame.from_ndarray(noisy, "rgb24").reformat(format=pix_fmt)
        if pix_fmt == "bgra":
            np.frombuffer(frame.planes[0], np.uint8)[3::4] = np.arange(width * height) % 251
        elif pix_fmt == "yuva420p":
            np.frombuffer(frame.planes[3], np.uint8).reshape(height, -1)[:] = np.arange(frame.planes[3].line_size) * 3
        frame.time_base = Fraction(1, 25)
        yield frame


def make(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    rate: Fraction | int = 25,
    time_base: Fraction | None = None,
    times: Sequence[int] | None = None,
    frames: Sequence[Any] | None = None,
    sound: bool = False,
    subtitles: bool = False,
    **tags: Any,
) -> list[Any]:
    """Write a clip and return its frames as they went in."""
    frames = list(frames_of(pix_fmt) if frames is None else frames)
    times = list(range(len(frames)) if times is None else times)
    times.append(2 * times[-1] - times[-2] if len(times) > 1 else 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate, width=frames[0].width, height=frames[0].height)
        stream.codec_context.time_base = stream.time_base = time_base or 1 / Fraction(rate)
        stream.codec_context.pix_fmt = pix_fmt
        stream.codec_context.flags |= av.codec.context.Flags.frame_duration
        stream.metadata["title"] = "the picture"
        if rotation := tags.pop("rotation", None):
            stream.set_display_rotation(*rotation)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        voice = add_sound(container) if sound else None
        words = container.add_mux_stream("subrip") if subtitles else None
        container.metadata.update(title="A title", artist="Somebody")
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = times[number], stream.codec_context.time_base
            frame.duration = times[number + 1] - times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            write_sound(container, voice)
        if words is not None:
            words.metadata["language"] = "kor"
            write_words(container, words)
    return frames


def add_sound(container: Any) -> Any:
    voice = container.add_stream("libopus" if "webm" in container.format.name else "aac", 48000)
    voice.metadata["language"], voice.disposition = "deu", av.stream.Disposition.dub
    return voice


def write_sound(container: Any, voice: Any) -> None:
    for number in range(20):
        samples = np.random.default_rng(number).normal(0, 0.1, (2, 1024)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1024, Fraction(1, 48000)
        container.mux(voice.encode(frame))
    container.mux(voice.encode(None))


def write_words(container: Any, words: Any) -> None:
    for number, text in enumerate([b"hello", "안녕".encode()]):
        packet = av.Packet(text)
        packet.stream, packet.time_base = words, Fraction(1, 1000)
        packet.pts = packet.dts = 200 * number
        packet.duration = 150
        container.mux([packet])


def probe(path: Path) -> tuple[Any, list[Any]]:
    """The open container and its decoded frames."""
    container = av.open(str(path))
    return container, list(container.decode(video=0))


def times_of(path: Path) -> list[Fraction]:
    container, frames = probe(path)
    return [frame.pts * container.streams.video[0].time_base for frame in frames]


def packets_of(path: Path, kind: str) -> list[tuple[int, int, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(**{kind: 0})
        return [(packet.pts, packet.duration, bytes(packet)) for packet in packets if packet.size]


def plane(frame: Any, index: int, dtype: Any = np.uint8) -> np.ndarray:
    part = frame.planes[index]
    rows = np.frombuffer(part, dtype).reshape(part.height, -1)
    return rows[:, : part.width * (2 if frame.format.name == "nv12" and index else 1)]
