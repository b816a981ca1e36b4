"""Holds the layout of the project: who imports whom, which room knows which library, what a module must have.

Each rule is a function from the source of one module to complaints, and is shown below to complain.
"""

import ast
import functools
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"aeinfer", "train", "export", "tests", "benchmarks", "scripts", "examples"}

# Directions between the packages: who may import whom.
PACKAGES = {"aeinfer": {"aeinfer"}, "train": {"aeinfer", "train"}, "export": {"aeinfer", "train", "export"}}

# Directions inside aeinfer. A room that is not named here is a leaf; everyone may import errors and version.
FREE = {"errors", "version"}
ROOMS = {
    "batching": {"kernels", "tiling"},
    "limits": {"forking", "memory", "model_info", "sizing", "tiling"},
    "sizing": {"tiling"},
    "splitting": {"batching", "model_info", "tiling"},
    "pair": {"forking", "session"},
    "stream": {"forking"},
    "ending": {"forking"},
    "denoiser": {
        "arrays",
        "batching",
        "forking",
        "halves",
        "kernels",
        "limits",
        "model_file",
        "model_info",
        "pair",
        "session",
        "settings",
        "splitting",
        "stream",
        "temporal",
        "threads",
    },
    "memory": {"cgroups"},
    "threads": {"cgroups"},
    "model_file": {"machine", "model_bytes", "models", "session", "threads", "tuning"},
    "halves": {
        "arrays",
        "forking",
        "kernels",
        "model_bytes",
        "model_file",
        "model_info",
        "models",
        "session",
        "settings",
    },
    "tuning": {"atomic", "machine", "models"},
    "measuring": {"denoiser", "model_info", "sizing", "threads", "tuning"},
    "codes": {"atomic", "model_info"},
    "doctor": {
        "denoiser",
        "devices",
        "jit",
        "kernels",
        "machine",
        "memory",
        "metrics",
        "model_bytes",
        "models",
        "session",
        "sizing",
        "threads",
        "tiling",
    },
    "folder": {"atomic", "collisions", "inputs", "naming"},
    "inputs": {"formats"},
    "formats": {"picture"},
    "collisions": {"atomic", "naming"},
    "naming": {"formats"},
    "report": {"atomic"},
    "image": {"atomic", "codec", "file_facts", "file_format", "formats", "opencv", "picture", "tiff", "tiff_tags"},
    "opencv": {"forking"},
    "codec": {"damage", "file_facts", "jpeg", "opencv", "picture", "resolution", "tiff_tags"},
    "tiff": {"exif", "forking", "picture", "resolution", "tiff_tags"},
    "picture": {"tiff_tags"},
    "file_format": {"avif", "bmp", "file_facts", "formats", "jpeg", "png", "pnm", "tiff_facts", "webp"},
    "file_facts": {"tiff_tags"},
    "avif": {"file_facts"},
    "jpeg": {"damage", "file_facts", "resolution", "tiff_tags"},
    "png": {"file_facts", "resolution", "tiff_tags"},
    "webp": {"file_facts", "jpeg", "tiff_tags"},
    "bmp": {"file_facts", "resolution"},
    "pnm": {"file_facts"},
    "tiff_facts": {"damage", "exif", "file_facts", "resolution", "tiff_tags"},
    "damage": {"tiff_tags"},
    "exif": {"tiff_tags"},
    "resolution": {"tiff_tags"},
    "video": {"atomic"},
    "capture": {"opencv"},
    "yuv": {"opencv", "rawvideo"},
    "gstreamer": {"__init__", "planes", "temporal"},
    "picamera": {"denoiser", "planes"},
    "ros": {"denoiser", "planes"},
    "session": {"binding", "devices", "ending", "forking", "model_bytes", "model_info", "threads"},
    "devices": {"machine"},
    "kernels": {"forking", "loops"},
    "temporal": {"arrays", "forking", "kernels", "temporal_loops", "translation"},
    "temporal_loops": {"jit"},
    "jit": {"forking"},
    "loops": {"jit"},
    "noise": {"arrays", "jit"},
    "__main__": {"cli"},
}
FACE = "__init__"  # shows any room but cli; cli alone imports it, or any room

# One library, one room; libraries with no room are for train and export.
LIBRARIES = {
    "onnxruntime": {"session"},
    "cv2": {"opencv"},
    "tifffile": {"tiff"},
    "numba": {"jit"},
    "av": {"video"},
    "gi": {"gstreamer"},
    "picamera2": {"picamera"},
    "torch": set(),
    "onnx": set(),
    "onnxscript": set(),
    "tensorboard": set(),
}
WITHOUT_TORCH = {"torch", "onnx", "onnxscript", "tensorboard", "train", "export"}

VAGUE_NAMES = {"util", "utils", "helper", "helpers", "core", "main", "common", "misc", "base", "engine", "predictor"}
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:home|root|work|opt)/")
TEXT_SUFFIXES = {".py", ".md", ".toml", ".sh", ".txt", ".yml", ".yaml"}


def imported_modules(path: PurePosixPath, tree: ast.AST) -> Iterator[str]:
    """Dotted names of all imports, lazy ones in functions too; `from a import b` yields a.b."""
    package = path.parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def room_of(path: PurePosixPath) -> str:
    """The room of a module of aeinfer: aeinfer/cli/info.py is in cli, aeinfer/image.py in image."""
    return path.parts[1].removesuffix(".py")


def check_directions(path: PurePosixPath, tree: ast.Module) -> list[str]:
    """Imports between our packages run one way, and inside aeinfer along ROOMS."""
    top = path.parts[0]
    if top not in PACKAGES:
        return []
    names = [name.split(".") for name in imported_modules(path, tree)]
    wrong = {name[0] for name in names if name[0] in OURS - PACKAGES[top]}
    if top == "aeinfer":
        room = room_of(path)
        rooms = {name[1] if len(name) > 1 else FACE for name in names if name[0] == "aeinfer"}
        allowed = ROOMS.get(room, set()) | FREE | {room}
        refused = {"cli": set(), FACE: rooms & {"cli"}}.get(room, rooms - allowed)
        wrong |= {f"aeinfer.{name}" for name in refused}
    return [f"{path}: must not import {name}" for name in sorted(wrong)]


def check_libraries(path: PurePosixPath, tree: ast.Module) -> list[str]:
    """A library is imported in its rooms alone, and the tests of aeinfer run without torch and onnx."""
    names = {name.split(".")[0] for name in imported_modules(path, tree)}
    if path.parts[0] == "aeinfer":
        wrong = {name for name in names & set(LIBRARIES) if room_of(path) not in LIBRARIES[name]}
    elif path.parts[:2] == ("tests", "aeinfer"):
        wrong = names & WITHOUT_TORCH
    else:
        wrong = set()
    return [f"{path}: this room does not know {name}" for name in sorted(wrong)]


def check_silence(path: PurePosixPath, tree: ast.Module) -> list[str]:
    """Inside aeinfer only cli prints or exits."""
    if path.parts[0] != "aeinfer" or room_of(path) in {"cli", "__main__"}:
        return []
    loud = {"print", "exit", "quit", "SystemExit", "sys.exit", "os._exit", "sys.stdout", "sys.stderr"}
    found = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute))
    return [f"{path}: {name} is for cli alone" for name in sorted(set(found) & loud)]


def check_names(path: PurePosixPath, tree: ast.Module) -> list[str]:
    """`__all__` of a module of aeinfer holds all its public functions and classes, and nothing undefined."""
    if path.parts[0] != "aeinfer" or room_of(path) == "__main__":
        return []
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = {node.name for node in tree.body if isinstance(node, definitions) and not node.name.startswith("_")}
    listed: set[str] = set()
    other: set[str] = set()  # constants, types, and what is passed on from another room
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name("__all__")], value=value):
                listed = set(ast.literal_eval(value))
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                other.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                other |= {alias.asname or alias.name for alias in aliases}
    missing = [f"{path}: {name} is not in __all__" for name in sorted(public - listed)]
    if path.name == "__init__.py":  # its names may be lazy: test_public_names_exist looks at them
        return missing
    return missing + [f"{path}: __all__ lists {name}, not defined here" for name in sorted(listed - public - other)]


def check_docstring(path: PurePosixPath, tree: ast.Module) -> list[str]:
    """Each module says what it is for."""
    return [] if (ast.get_docstring(tree) or "").strip() else [f"{path}: has no docstring"]


def check_module_name(path: PurePosixPath, _: ast.Module) -> list[str]:
    """A module is named for what it does."""
    vague = [part for part in (*path.parts[:-1], path.stem) if part in VAGUE_NAMES]
    return [f"{path}: {part!r} says nothing" for part in vague]


RULES = (check_directions, check_libraries, check_silence, check_names, check_docstring, check_module_name)
Rule = Callable[[PurePosixPath, ast.Module], list[str]]


def files_of_the_project() -> list[PurePosixPath]:
    """Tracked files and new ones that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git does not list the files here: {error}")
    return [PurePosixPath(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


@functools.cache
def modules_of_the_project() -> list[tuple[PurePosixPath, ast.Module]]:
    paths = [path for path in files_of_the_project() if path.suffix == ".py" and path.parts[0] in OURS]
    assert len(paths) > 10
    return [(path, ast.parse((ROOT / path).read_text("utf-8"))) for path in paths]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house(rule: Rule) -> None:
    complaints = [line for path, tree in modules_of_the_project() for line in rule(path, tree)]
    assert not complaints, "\n".join(complaints)


def machine_paths(text: str) -> list[str]:
    return MACHINE_PATH.findall(text)


def test_no_path_of_one_machine() -> None:
    files = [path for path in files_of_the_project() if path.suffix in TEXT_SUFFIXES or path.parts[0] == ".ci"]
    assert not [str(path) for path in files if machine_paths((ROOT / path).read_text("utf-8"))]


BAD = [
    (check_directions, "aeinfer/tiling.py", "import train.fit", "must not import train"),
    (check_directions, "aeinfer/tiling.py", "def f():\n    from aeinfer.session import Session", "aeinfer.session"),
    (check_directions, "aeinfer/tiling.py", "from . import kernels", "aeinfer.kernels"),
    (check_directions, "aeinfer/tiling.py", "from .cli import main", "aeinfer.cli"),
    (check_directions, "aeinfer/folder.py", "from aeinfer import metrics", "aeinfer.metrics"),
    (check_directions, "aeinfer/tiling.py", "import aeinfer", "must not import aeinfer.__init__"),
    (check_directions, "aeinfer/__init__.py", "from aeinfer.cli import main", "aeinfer.cli"),
    (check_directions, "aeinfer/models/__init__.py", "from ..image import read_image", "aeinfer.image"),
    (check_directions, "train/fit.py", "from export import to_onnx", "must not import export"),
    (check_directions, "export/verify.py", "from tests.reference import psnr", "must not import tests"),
    (check_libraries, "aeinfer/denoiser.py", "import onnxruntime as ort", "does not know onnxruntime"),
    (check_libraries, "aeinfer/metrics.py", "def f():\n    import cv2", "does not know cv2"),
    (check_libraries, "aeinfer/cli/info.py", "importlib.import_module('numba')", "does not know numba"),
    (check_libraries, "aeinfer/session.py", "from torch import nn", "does not know torch"),
    (check_libraries, "tests/aeinfer/test_session.py", "import onnx.helper", "does not know onnx"),
    (check_silence, "aeinfer/image.py", "print('read')", "print is for cli"),
    (check_silence, "aeinfer/image.py", "def f():\n    sys.stderr.write('read')", "sys.stderr is for cli"),
    (check_silence, "aeinfer/image.py", "raise SystemExit(1)", "SystemExit is for cli"),
    (check_names, "aeinfer/tiling.py", "def plan(): ...", "plan is not in __all__"),
    (check_names, "aeinfer/cli/options.py", "__all__ = ['size']\ndef size(): ...\ndef whole(): ...", "whole is not in"),
    (check_names, "aeinfer/tiling.py", "__all__ = ['plan']\nclass Box: ...\ndef plan(): ...", "Box is not in"),
    (check_names, "aeinfer/tiling.py", "__all__ = ['plan']\ndef _plan(): ...", "lists plan, not defined"),
    (check_docstring, "scripts/draw.py", "import os", "has no docstring"),
    (check_module_name, "export/utils.py", "", "'utils' says nothing"),
    (check_module_name, "aeinfer/core/tiles.py", "", "'core' says nothing"),
]


@pytest.mark.parametrize(("rule", "path", "source", "complaint"), BAD)
def test_rules_complain(rule: Rule, path: str, source: str, complaint: str) -> None:
    found = rule(PurePosixPath(path), ast.parse(source))
    assert len(found) == 1
    assert complaint in found[0]


GOOD = [
    ("aeinfer/denoiser.py", "from aeinfer import limits\nfrom aeinfer.errors import InputError"),
    ("aeinfer/session.py", "def _load():\n    import onnxruntime\n    from aeinfer.model_info import ModelInfo"),
    ("aeinfer/cli/noise.py", "import aeinfer\nfrom aeinfer import noise\nfrom . import progress\nprint()"),
    ("aeinfer/__main__.py", "import sys\nfrom aeinfer.cli import main\nsys.exit(main())"),
    ("aeinfer/models/__init__.py", "from importlib import resources\n__all__ = ['A', 'f']\nA = 1\ndef f(): ..."),
    ("export/to_onnx.py", "import torch, onnx, onnxruntime\nfrom train.models import MODELS\nprint(1)"),
    ("tests/aeinfer/test_noise.py", "import aeinfer\nfrom tests import reference\nprint(1)"),
]


@pytest.mark.parametrize(("path", "source"), GOOD)
def test_rules_let_good_modules_pass(path: str, source: str) -> None:
    tree = ast.parse(f"'''A room.'''\n{source}")
    assert [line for rule in RULES for line in rule(PurePosixPath(path), tree)] == []


def test_machine_paths_are_found_and_addresses_are_not() -> None:
    for folder in ("home", "root", "work", "opt"):
        assert machine_paths(f"cd /{folder}/somebody")
        assert machine_paths(f'open("/{folder}/x")')
    assert not machine_paths("https://example.org/work/page ../work/x ~/work/x $HOME/work/x work/x {tmp}/opt/x")


def test_what_is_to_be_typed_is_quoted_for_every_shell() -> None:
    """The shell of Windows, cmd, takes single quotes for a part of the name."""
    single = re.compile(r"'[\w*./{}-]*(?:\[[a-z,]+\]|\{suffix\})'")
    pages = [path for path in files_of_the_project() if path.suffix in (".md", ".py") and path.parts[0] != "tests"]
    texts = {path: (ROOT / path).read_text("utf-8") for path in pages}
    faults = {str(path): found[0] for path, text in texts.items() if (found := single.search(text))}
    assert faults == {}


def test_public_names_exist() -> None:
    import aeinfer

    assert aeinfer.__all__
    assert [name for name in aeinfer.__all__ if not hasattr(aeinfer, name)] == []


def test_the_map_in_the_readme_names_every_room() -> None:
    page = (ROOT / "README.md").read_text()
    rooms = {path.name for path in (ROOT / "aeinfer").glob("[!_]*.py")} - {"version.py"}
    assert {room for room in rooms if f"{room}`" not in page} == set()
