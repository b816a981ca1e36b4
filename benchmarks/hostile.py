"""What must hold when `aeinfer denoise` meets a damaged file; runs inside a cage."""

import contextlib
import io
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aeinfer import AEInfer
from aeinfer.cli import main
from aeinfer.errors import AEInferError
from aeinfer.image import read_image, write_image
from aeinfer.opencv import quiet_opencv
from benchmarks.seeds import DATA, SIZE

MODEL = DATA / "tiny.onnx"


def make_image_job() -> Callable[[tuple[str, bytes]], str]:
    """Return the job that denoises one file (name, content): "written", "refused", or "wrong: ..."."""
    quiet_opencv()
    AEInfer.load(MODEL).warmup()  # compiles the kernels before the clock runs

    def job(case: tuple[str, bytes]) -> str:
        name, content = case
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, name)
            source.write_bytes(content)
            return _denoise(source, MODEL, Path(folder, "out"), refusal=1)

    return job


def make_model_job() -> Callable[[tuple[str, bytes]], str]:
    """Return the job that denoises a good image with one damaged model."""
    quiet_opencv()
    AEInfer.load(MODEL).warmup()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)

    def job(case: tuple[str, bytes]) -> str:
        with tempfile.TemporaryDirectory() as folder:
            source, model = Path(folder, "image.png"), Path(folder, "damaged.onnx")
            write_image(source, image)
            model.write_bytes(case[1])
            return _denoise(source, model, Path(folder, "out"), refusal=4)

    return job


def _denoise(source: Path, model: Path, out: Path, refusal: int) -> str:
    """Judge one run of the command: a result that can be read and nothing else, or a clear line and nothing at all."""
    said = io.StringIO()
    before = source.read_bytes()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(["denoise", str(source), "-o", f"{out}/", "-m", str(model), "--threads", "1", "-q"])
    except BaseException:  # noqa: BLE001 (whatever it is, it must not leave the command)
        return f"wrong: {traceback.format_exc(limit=-3)}"
    left = sorted(path.name for path in out.rglob("*")) if out.exists() else []
    if source.read_bytes() != before:
        return "wrong: the original was changed"
    if code == 0:
        return _readable(out / source.name, left)
    if code not in (1, refusal):
        return f"wrong: exit code {code}: {said.getvalue()}"
    if left:
        return f"wrong: refused, but left {left}"
    return "refused" if said.getvalue().strip() else "wrong: refused without a word"


def _readable(target: Path, left: list[str]) -> str:
    if left != [target.name]:
        return f"wrong: expected {target.name}, found {left}"
    try:
        read_image(target)
    except AEInferError as error:
        return f"wrong: the result cannot be read: {error}"
    return "written"
