"""Model files as a repository of NVIDIA's Triton server: `python -m export.triton FILE... -o DIR`; it serves nothing.

DIR/NAME/1/model.onnx is the file as it is, DIR/NAME/config.pbtxt says what it takes and gives.
"""

import argparse
import json
import tempfile
from pathlib import Path

import onnx

from aeinfer.errors import AEInferError, InputError
from aeinfer.model_bytes import read_model
from aeinfer.session import Session

MAX_BATCH = 8
CONFIG = """\
name: {name}
backend: "onnxruntime"
max_batch_size: {max_batch}
input [{{ name: {input_name}, data_type: TYPE_FP32, dims: {input_dims} }}]
output [{{ name: {output_name}, data_type: TYPE_FP32, dims: {output_dims} }}]
"""
BATCHING = "dynamic_batching {}\n"  # no delay: requests of one size that wait anyway share a run


def config(name: str, content: bytes, max_batch: int = MAX_BATCH) -> str:
    """Return the config.pbtxt of a model.

    Parameters
    ----------
    name : str
        That of its folder.
    content : bytes
        The ONNX file.
    max_batch : int
        How many images a run may hold; 0 for a model without a free batch, whatever is asked for.

    Raises
    ------
    ModelError
        It is no model with one float32 input and one such output.
    """
    Session(content, name, device="cpu")
    graph = onnx.load_from_string(content).graph
    weights = {tensor.name for tensor in graph.initializer}  # old files list them among the inputs
    source, target = next(value for value in graph.input if value.name not in weights), graph.output[0]
    shapes = [[dim.dim_value or -1 for dim in end.type.tensor_type.shape.dim] for end in (source, target)]
    batched = all(shape[0] == -1 for shape in shapes)
    text = CONFIG.format(
        name=json.dumps(name),
        max_batch=max_batch if batched else 0,
        input_name=json.dumps(source.name),
        output_name=json.dumps(target.name),
        input_dims=shapes[0][batched:],  # Triton leaves out the batch
        output_dims=shapes[1][batched:],
    )
    return text + BATCHING if batched and max_batch > 1 else text


def write_repository(path: Path, folder: Path, *, max_batch: int = MAX_BATCH, overwrite: bool = False) -> Path:
    """Write FOLDER/NAME of a model file, all of it or nothing, and return it.

    With `overwrite` a model of that name is replaced, its other versions too; for a moment neither is there.

    Raises
    ------
    InputError
        There is one, and `overwrite` is not given.
    ModelError
        The file cannot be read, or is no model with one float32 input and one such output.
    """
    name, content = path.stem, read_model(path)
    text = config(name, content, max_batch)
    target = folder / name
    if target.exists() and not overwrite:
        raise InputError(f"{target} is there already: give --overwrite to replace it")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as scratch:
        made = Path(scratch, "new")
        (made / "1").mkdir(parents=True)
        (made / "1" / "model.onnx").write_bytes(content)
        (made / "config.pbtxt").write_text(text, "utf-8")
        old = Path(scratch, "old")
        try:
            if target.exists():
                target.rename(old)
            made.rename(target)
        finally:
            if old.exists() and not target.exists():  # it would go with what is scratch
                old.rename(target)
    return target


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.triton", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an .onnx file; its name is the model's")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the repository")
    parser.add_argument(
        "--max-batch", type=int, default=MAX_BATCH, help="images the server may put into one run [%(default)s]"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model of the same name")
    args = parser.parse_args(argv)
    if args.max_batch < 1:
        parser.error(f"--max-batch is at least 1, got {args.max_batch}")
    try:
        for file in args.files:
            print(write_repository(file, args.output, max_batch=args.max_batch, overwrite=args.overwrite))
    except (AEInferError, OSError) as error:
        parser.exit(2, f"export.triton: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
