"""`aeinfer models`: lists the models that come with the package."""

import argparse
from pathlib import Path
from typing import Any

from aeinfer.cli.console import ExitCode, nothing_found, say, say_json

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def run(args: argparse.Namespace) -> int:
    """List the packaged models."""
    from aeinfer.models import packaged_models

    rows = [_describe(name, path) for name, path in packaged_models().items()]
    if not rows:
        return nothing_found("this install holds no models; give -m a .onnx file")
    if args.json:
        say_json(rows)
        return ExitCode.DONE
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        sizes = ", ".join(f"{precision} {kilobytes} KB" for precision, kilobytes in row["kilobytes"].items())
        colours = {1: "grey", 3: "RGB"}.get(row["channels"], f"{row['channels']} channels")
        window = f", window {row['tile']}x{row['tile']}" if row["tile"] else ""
        say(f"{row['name']:{width}}  {row['architecture']}, {colours}{window}; {sizes}; noise: {row['noise']}")
    return ExitCode.DONE


def _describe(name: str, path: Path) -> dict[str, Any]:
    from aeinfer.denoiser import AEInfer
    from aeinfer.models import precision_files

    with AEInfer.load(path, device="cpu", precision="fp32") as model:
        info = model.info
    return {
        "name": name,
        "architecture": info.architecture,
        "channels": info.channels,
        "tile": info.tile,
        "noise": info.noise,
        "kilobytes": {key: round(file.stat().st_size / 1000) for key, file in precision_files(path).items()},
    }
