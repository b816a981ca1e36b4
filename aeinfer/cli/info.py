"""`aeinfer info`: shows what a model file says of itself, and which provider runs it here."""

import argparse
import dataclasses

from aeinfer.cli.console import ExitCode, say, say_json
from aeinfer.cli.options import add_device

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("model", metavar="MODEL", help="a packaged model's name or a .onnx file")
    add_device(parser)
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show one model."""
    from aeinfer.denoiser import AEInfer

    with AEInfer.load(args.model, device=args.device) as model:
        facts = {**dataclasses.asdict(model.info), "provider": model.provider}
    if args.json:
        say_json(facts)
        return ExitCode.DONE
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = ", ".join(f"{key} {entry}" for key, entry in value.items()) if isinstance(value, dict) else value
        say(f"{name:{width}}  {'-' if shown in (None, '') else shown}")
    return ExitCode.DONE
