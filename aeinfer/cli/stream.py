"""`aeinfer stream`: denoises frames as they come, from a camera, a URL or another program, and sends them on."""

import argparse
import itertools
import math
import sys
from operator import attrgetter
from typing import Any

from aeinfer.capture import is_missing_file
from aeinfer.cli.console import ExitCode, Line, complain, nothing_found, say, say_json
from aeinfer.cli.interrupt import until_stopped
from aeinfer.cli.options import (
    add_frames,
    add_network,
    add_on_exist,
    add_voice,
    frames_model,
    network_options,
    number,
    size,
    whole,
)
from aeinfer.cli.sink import open_sink
from aeinfer.cli.source import open_source
from aeinfer.denoiser import AEInfer
from aeinfer.rawvideo import PIXEL_FORMATS
from aeinfer.stream import Stats
from aeinfer.temporal import TemporalFilter

__all__ = ["add_options", "run"]

LONGEST_WAIT = 2e6  # seconds: OpenCV counts milliseconds with 32 bits


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("source", metavar="SOURCE", help="a camera (0, /dev/video0), a file, a URL, or - for stdin")
    parser.add_argument("-o", "--output", metavar="SINK", help="- is standard output, or a file (default: count only)")
    add_on_exist(parser, "the file", "error", "overwrite")
    raw = parser.add_argument_group("frames without y4m's description")
    raw.add_argument("--size", type=size, metavar="WxH", help="of the frames on standard input")
    raw.add_argument("--pix-fmt", choices=PIXEL_FORMATS, help="of bare frames, in ffmpeg's words (default: y4m)")
    raw.add_argument(
        "--align",
        type=whole(1, 1 << 16),
        default=1,
        metavar="BYTES",
        help="rows are padded to a multiple of so many (default: 1; GStreamer: 4)",
    )
    raw.add_argument("--full-range", action="store_true", help="luma goes from 0 to 255, not from 16 to 235")
    add_frames(parser, luma="of yuv420p and nv12, ")
    _add_pace(parser)
    add_network(parser, None, beyond="frames in hand come", threads="threads of the network")
    add_voice(parser, verbose="say what the model runs on")


def _add_pace(parser: argparse.ArgumentParser) -> None:
    pace = parser.add_argument_group("pace")
    pace.add_argument(
        "--policy",
        choices=("all", "latest"),
        help="deliver all frames, or drop what is late (default: latest for cameras and live URLs, else all)",
    )
    pace.add_argument("--max-latency", type=number(0.001), metavar="MS", help="with latest, drop older frames too")
    pace.add_argument("-b", "--batch", type=whole(1), default=1, help="frames in a run of the network (default: 1)")
    pace.add_argument("--frames", type=whole(1, sys.maxsize), metavar="N", help="stop after so many")
    pace.add_argument(
        "--timeout",
        type=number(0.001, LONGEST_WAIT),
        metavar="S",
        help="end where no frame came for so long (URLs: 10, others: never)",
    )
    pace.add_argument(
        "--reconnect",
        type=number(0),
        default=60,
        metavar="S",
        help="try a lost camera or URL again for so long (default: 60)",
    )


def run(args: argparse.Namespace) -> int:
    """Denoise what the arguments name until it ends."""
    return until_stopped(lambda _: _stream(args))


def _stream(args: argparse.Namespace) -> int:
    if args.source != "-" and is_missing_file(args.source):
        return nothing_found(f"{args.source} does not exist")
    source = open_source(args)
    piped = source.layout is not None
    grey = source.layout is not None and (args.luma or source.layout.pixel_format == "gray")
    model = frames_model(args, grey=grey)
    overwrite = args.on_exist == "overwrite"
    policy = args.policy or ("latest" if source.live else "all")
    read = itertools.islice(source.frames, args.frames if policy == "all" else None)  # no further than what is wanted
    with (
        AEInfer.load(model, color=source.color, **network_options(args)) as ae,
        open_sink(args.output, source, args.pix_fmt, overwrite=overwrite) as write,
        Line(wanted=not (args.quiet or args.no_progress)) as line,
    ):
        if args.verbose:
            complain(f"model {ae.info.name} {ae.info.precision} on {ae.provider}")
        frames = ae.stream(
            read,
            policy,
            strength=args.strength,
            max_latency_ms=args.max_latency,
            batch=args.batch,
            pixels=attrgetter("pixels"),
            timeout=args.timeout if piped else None,  # a capture has its own, and tries again
            temporal=TemporalFilter() if args.temporal else None,
        )
        try:
            for frame in itertools.islice(frames, args.frames):
                write(frame)
                if line.shown:
                    line.show(_told(ae.stats))
        finally:
            frames.close()
            line.clear()
            _summarize(args, ae.stats)
    if not ae.stats.frames_out:
        complain("no frame came")
        return ExitCode.NOTHING_FOUND
    return ExitCode.DONE


def _told(stats: Stats) -> str:
    fps = 0.0 if math.isnan(stats.fps) else stats.fps
    return f"{stats.frames_out} frames  {fps:.1f}/s  {stats.latencies_ms[-1]:.0f} ms  {stats.dropped} dropped"


def _summarize(args: argparse.Namespace, stats: Stats) -> None:
    facts: dict[str, Any] = {"in": stats.frames_in, "out": stats.frames_out, "dropped": stats.dropped}
    figures = {"fps": stats.fps} | {f"p{percent}_ms": stats.latency_ms(percent) for percent in (50, 95, 99)}
    facts |= {name: None if math.isnan(value) else round(value, 2) for name, value in figures.items()}
    aside = args.output == "-"  # standard output is the frames' own
    if args.json:
        say_json(facts, aside=aside)
    elif not args.quiet:
        latency = "/".join(f"{figures[f'p{percent}_ms']:.0f}" for percent in (50, 95, 99))
        pace = f"{stats.fps:.1f} a second, latency {latency} ms (50/95/99 %)" if stats.frames_out > 1 else "no pace yet"
        (complain if aside else say)(f"{stats.frames_out} frames of {stats.frames_in}, {stats.dropped} dropped: {pace}")
