"""`aeinfer video`: denoises the frames of a video file into another, which keeps all else of it."""

import argparse
import time
from collections.abc import Iterator
from contextlib import closing
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeinfer.atomic import clear_parts, is_there
from aeinfer.cli.console import ExitCode, Progress, complain, nothing_found, say, say_json
from aeinfer.cli.interrupt import until_stopped
from aeinfer.cli.options import add_frames, add_network, add_on_exist, add_voice, frames_model, network_options, whole
from aeinfer.denoiser import AEInfer
from aeinfer.errors import InputError
from aeinfer.temporal import TemporalFilter

if TYPE_CHECKING:  # it needs PyAV, without which there are options and refusals all the same
    from aeinfer.video import VideoReader, VideoWriter

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("source", metavar="IN", type=Path, help="a video file")
    parser.add_argument("target", metavar="OUT", type=Path, help="the new file; its suffix chooses the container")
    add_on_exist(parser, "OUT", "error", "overwrite", "skip")
    add_frames(parser, luma="")
    _add_encoding(parser)
    add_network(
        parser,
        None,
        beyond="frames in hand and the encoder's come",
        threads="of the network, the decoder and the encoder, each",
    )
    add_voice(parser, verbose="say what the model and the encoder are")


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    encoding = parser.add_argument_group("encoding")
    encoding.add_argument(
        "--codec",
        metavar="ENCODER",
        help="such as libx265 or ffv1 (default: libx264; libvpx-vp9 for .webm; else the container's own)",
    )
    encoding.add_argument(
        "--crf",
        type=whole(0, 63),
        metavar="N",
        help="quality in the encoder's own scale, lower is better "
        "(default: 18 for libx264, 20 for libx265, 24 for libvpx-vp9 and libsvtav1)",
    )
    encoding.add_argument(
        "--preset", help="the encoder's word for how much time it may take (default: its own, medium for libx264)"
    )
    encoding.add_argument(
        "--pix-fmt", metavar="FORMAT", help="of the result (default: as IN, or the nearest that the encoder takes)"
    )


def run(args: argparse.Namespace) -> int:
    """Denoise what the arguments name."""
    return until_stopped(lambda _: _run(args))


def _run(args: argparse.Namespace) -> int:
    if not args.source.exists():
        return nothing_found(f"{args.source} does not exist")
    if _is_there(args):
        if args.json:
            say_json({"written": None, "skipped": str(args.target)})
        elif not args.quiet:
            say(f"skipped: {args.target} is there already")
        return ExitCode.DONE
    from aeinfer.video import Encoding, VideoReader, VideoWriter

    began = time.perf_counter()
    clear_parts(args.target.parent)
    reader = VideoReader(args.source, args.threads)
    wish = Encoding(args.codec, args.crf, args.preset, args.pix_fmt, args.luma, args.threads)
    with (
        VideoWriter.open(args.target, reader, wish) as writer,
        # decoder and encoder want the cores that the network's threads would wait on
        AEInfer.load(frames_model(args, grey=args.luma), spinning=False, **network_options(args)) as ae,
    ):
        if args.verbose:
            complain(f"model {ae.info.name} {ae.info.precision} on {ae.provider}")
            complain(f"encoder {writer.codec}, {writer.pix_fmt}")
        count = _denoise(args, reader, writer, ae)
    _summarize(args, reader, writer, count, time.perf_counter() - began)
    return ExitCode.DONE


def _is_there(args: argparse.Namespace) -> bool:
    """Tell whether there is nothing to do; refuse what is unsafe."""
    if args.source.is_dir():
        raise InputError(f"{args.source} is a folder; name one video file")
    if not args.target.exists():
        return False
    if args.target.is_dir():
        raise InputError(f"{args.target} is a folder; name the new file")
    if args.source.samefile(args.target):
        raise InputError(f"{args.target} is the input itself; name another file for the result")
    if not is_there(args.target):
        return False
    if args.on_exist == "error":
        raise InputError(f"{args.target} is there already; --on-exist overwrite replaces it")
    return bool(args.on_exist == "skip")


def _denoise(args: argparse.Namespace, reader: "VideoReader", writer: "VideoWriter", ae: AEInfer) -> int:
    count, megapixels = 0, reader.first.width * reader.first.height / 1e6
    frames = ae.stream(
        writer.pictures(reader),
        strength=args.strength,
        pixels=attrgetter("pixels"),
        temporal=TemporalFilter() if args.temporal else None,
    )
    with (
        Progress(reader.total, "frames", wanted=not (args.quiet or args.no_progress)) as progress,
        closing(frames) as pictures,
    ):
        for count, picture in enumerate(pictures, 1):
            writer.write(picture)
            progress.advance(count, count * megapixels)
    return count


def _summarize(
    args: argparse.Namespace, reader: "VideoReader", writer: "VideoWriter", count: int, seconds: float
) -> None:
    for line in _losses(reader, writer):
        complain(f"{args.source}: {line}")
    facts: dict[str, Any] = {
        "written": str(args.target),
        "frames": count,
        "seconds": round(seconds, 3),
        "fps": round(count / seconds, 2),
        "codec": writer.codec,
        "pix_fmt": writer.pix_fmt,
        "undecodable": reader.undecodable,
        "damaged": reader.damaged,
        "untimely": reader.untimely,
        "jumps": reader.jumps,
        "begins_later": reader.begins_later,
        "breaks_off": reader.breaks_off,
        "left_out": writer.left_out,
    }
    if args.json:
        say_json(facts)
    elif not args.quiet:
        lost = f", {len(writer.left_out)} left out" if writer.left_out else ""
        encoded = f"{writer.codec}, {writer.pix_fmt}"
        say(f"{count} frames in {seconds:.1f} s ({count / seconds:.1f} a second): {args.target}, {encoded}{lost}")


def _losses(reader: "VideoReader", writer: "VideoWriter") -> Iterator[str]:
    """Give one line for each kind of what the new file lacks."""
    yield from (f"left out: {what}" for what in writer.left_out)
    if reader.undecodable:
        yield f"{reader.undecodable} packets cannot be decoded: their frames are left out"
    if reader.damaged:
        yield f"{reader.damaged} frames are damaged: kept as the decoder mends them"
    if reader.untimely:
        yield f"{reader.untimely} frames left out, whose time does not come after the one before"
    if reader.jumps:
        yield f"times jump back {reader.jumps} times, as in joined recordings: they are made to go on"
    if reader.begins_later:
        yield "a stream that begins in the middle is left out: nothing tells of it at the beginning"
    if reader.breaks_off:
        yield f"breaks off ({reader.breaks_off}): what came before is kept"
