"""Which libraries there are, whether each imports, and what mends one that does not; uses none of them.

A wheel may be built for another processor, for another numpy, or need a library that the system lacks; two wheels of
one library overwrite each other's files.
"""

import importlib
import importlib.metadata
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aeinfer.doctor.finding import Finding
from aeinfer.doctor.process import Ended, call

__all__ = ["LIBRARIES", "Library", "diagnose", "import_library", "installed_wheels", "overwritten", "try_import"]

Wheels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Library:
    """A library that aeinfer uses.

    Attributes
    ----------
    module : str
        Its name in Python.
    wheel : str
        The wheel to take where no other is there.
    install : str
        The line that brings it.
    lack : str
        What follows where it is missing.
    state : str
        How bad that is.
    """

    module: str
    wheel: str
    install: str
    lack: str
    state: Literal["note", "warning", "failure"]


_SLOW = "numpy moves the pixels, ten times as slowly, and 'aeinfer noise' does not work"

LIBRARIES = (
    Library("numpy", "numpy", "pip install numpy", "nothing works", "failure"),
    Library("onnxruntime", "onnxruntime", 'pip install "aeinfer[cpu]"', "no model runs", "failure"),
    Library("cv2", "opencv-python-headless", 'pip install "aeinfer[cpu]"', "no image file is read", "failure"),
    Library("llvmlite", "llvmlite", "pip install numba", _SLOW, "warning"),
    Library("numba", "numba", "pip install numba", _SLOW, "warning"),
    Library("tifffile", "tifffile", 'pip install "aeinfer[tiff]"', "TIFF loses its tags and pages", "note"),
    Library("av", "av", 'pip install "aeinfer[video]"', "no video file is read", "note"),
)

# Debian's packages; those of OpenCV's wheels with windows come together
PACKAGES = {
    "libGL.so.1": "libgl1 libglib2.0-0",
    "libgthread-2.0.so.0": "libgl1 libglib2.0-0",
    "libglib-2.0.so.0": "libgl1 libglib2.0-0",
    "libxcb.so.1": "libxcb1 libgl1 libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libatomic.so.1": "libatomic1",
    "libopenblas.so.0": "libopenblas0",
    "libstdc++.so.6": "libstdc++6",
}
MISSING_FILE = re.compile(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object file")
OTHER_NUMPY = re.compile(
    r"compiled using NumPy|numpy\S* failed to import|dtype size changed|against (ABI|API) version|needs NumPy", re.I
)


def installed_wheels() -> dict[str, dict[str, str]]:
    """Return what wheels hold each library: module -> wheel -> version; nothing of one that came without a wheel."""
    holders = importlib.metadata.packages_distributions()
    modules = (library.module for library in LIBRARIES)
    return {
        module: {wheel: importlib.metadata.version(wheel) for wheel in sorted(set(holders.get(module, ())))}
        for module in modules
    }


def import_library(module: str) -> dict[str, str]:
    """Import a library, which may end this process, and return its version and file."""
    library = importlib.import_module(module)
    if not library.__file__:  # what pip leaves of a folder that held two wheels' files imports, as a namespace
        raise ModuleNotFoundError(f"No module named {module!r}")
    return {"version": getattr(library, "__version__", "unknown"), "file": library.__file__}


def try_import(library: Library, wheels: Wheels) -> Finding:
    """Import a library in a process of its own."""
    ended = call(__name__, "import_library", library.module)
    held_by = ", ".join(f"{wheel} {version}" for wheel, version in wheels.get(library.module, {}).items())
    if not ended.fault:
        version, file = ended.value["version"], ended.value["file"]
        return Finding(library.module, "ok", f"{version} imports ({held_by or file})")
    sentence, mend = diagnose(library, ended, wheels.get(library.module, {}))
    return Finding(library.module, _state(library, ended), sentence, mend, "backend")


def _state(library: Library, ended: Ended) -> Literal["note", "warning", "failure"]:
    """A lack is what it is; what kills or stops the process is worse, for whoever imports it on the way elsewhere."""
    dies = ("(signal " in ended.fault or "no answer" in ended.fault) and library.state != "note"
    return "failure" if dies else library.state


def diagnose(library: Library, ended: Ended, wheels: Mapping[str, str]) -> tuple[str, str]:
    """Return what is wrong with a library that does not import, and the line that mends it.

    Parameters
    ----------
    library : Library
    ended : Ended
        How the import ended.
    wheels : mapping
        Wheel -> version, of those that hold the library.
    """
    wheel = max(wheels, key=len, default=library.wheel)  # the longest name has the most in it
    if ended.fault.startswith(f"ModuleNotFoundError: No module named '{library.module}'"):
        if not wheels:
            return f"is not installed: {library.lack}", library.install
        gone = f"{wheel} {wheels[wheel]} is installed, but its files are gone, as where another wheel of it was removed"
        return gone, f"pip install --force-reinstall --no-deps {wheel}"
    if found := re.match(r"ModuleNotFoundError: No module named '([\w.]+)'", ended.fault):
        return f"does not import without {found[1]}", f"pip install {found[1].partition('.')[0]}"
    if "(signal 4)" in ended.fault:
        told = f"was built for another processor: its import ends with {ended.why}"
        return told, _other_build(library, wheel, wheels)
    if found := MISSING_FILE.search(ended.fault):
        return f"does not import: the system lacks {found[1]}", _packages(library, found[1], wheel)
    if "DLL load failed" in ended.fault and not OTHER_NUMPY.search(ended.fault + ended.printed):  # most lack this one
        return f"does not import: Windows lacks a library: {ended.why}", "winget install Microsoft.VCRedist.2015+.x64"
    if OTHER_NUMPY.search(ended.fault + ended.printed):
        return f"was built for another numpy: {ended.why}", f"pip install --upgrade numpy {wheel}"
    return f"does not import: {ended.why}", f"pip install --force-reinstall {wheel}"


def _other_build(library: Library, wheel: str, wheels: Mapping[str, str]) -> str:
    """An older wheel asks less of the processor; what can be spared goes."""
    if library.state != "failure":
        return "pip uninstall -y numba llvmlite" if library.wheel in ("numba", "llvmlite") else f"pip uninstall {wheel}"
    if wheel == "numpy" and platform.machine() == "aarch64":
        return "export OPENBLAS_CORETYPE=ARMV8"
    return f'pip install "{wheel}<{wheels[wheel]}"' if wheel in wheels else f"pip install --force-reinstall {wheel}"


def _packages(library: Library, file: str, wheel: str) -> str:
    """The line that installs what the system lacks; OpenCV can do without."""
    line = f"apt install {PACKAGES[file]}" if file in PACKAGES else f"apt-file search {file}"
    if library.module == "cv2" and not wheel.endswith("-headless"):
        return f"{line}  # or: pip uninstall -y {wheel} && pip install {wheel}-headless"
    return line


def overwritten(wheels: Wheels) -> list[Finding]:
    """Return a warning for each library that two wheels hold."""
    return [
        Finding(
            f"{module} wheels",
            "warning",
            f"{' and '.join(held)} are both installed and overwrite each other",
            f"pip uninstall -y {' '.join(held)} && pip install {max(held, key=len)}",
            "backend",
        )
        for module, held in wheels.items()
        if len(held) > 1
    ]
