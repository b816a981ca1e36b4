"""Finds out why aeinfer does not work here, or that it does: the checks, in an order in which they can be made.

Nothing that may be broken is imported into this process before it was imported in another.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aeinfer.doctor import devices, libraries, machine, models
from aeinfer.doctor.finding import Finding
from aeinfer.doctor.process import call

__all__ = ["Finding", "examine"]

AT_ONCE = 4  # processes, of some 100 MB each
DEFAULT_MODEL = "photo.onnx"


def examine(device: str = "auto") -> list[Finding]:
    """Look at all that aeinfer needs, and return what was found.

    Parameters
    ----------
    device : str
        As for `AEInfer.load`: one that is named must start.

    Raises
    ------
    InputError
        There is no device of that name.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [machine.check_python(), machine.check_install(), *_check_libraries(pool)]
        if "numpy" not in _failures(found):
            found.append(machine.check_threads())
        files, record = _check_files()
        found += [*files, machine.check_cache(), machine.check_ffmpeg()]
        if lacking := _failures(found) & {"numpy", "onnxruntime", "threads"}:
            told = f"devices, results and more were not looked at, because of {' and '.join(sorted(lacking))}"
            return [*found, Finding("the rest", "note", told)]
        tested = {name: facts for name, facts in record.items() if "gain" in facts}
        if not tested:
            return found
        numba_works = next(finding for finding in found if finding.name == "numba").state == "ok"
        kernels = pool.submit(call, devices.SELFTEST, "move_pixels") if numba_works else None
        found += devices.check_devices(device, _smallest(tested))
        if "device cpu" not in _failures(found):
            found += _check_results(pool, tested, "cpu" if f"device {device}" in _failures(found) else device)
        return [*found, machine.check_kernels(kernels.result())] if kernels else found


def _failures(found: list[Finding]) -> set[str]:
    return {finding.name for finding in found if finding.state == "failure"}


def _check_libraries(pool: ThreadPoolExecutor) -> list[Finding]:
    """Try numpy, and where it works the libraries that need it."""
    scan = call(libraries.__name__, "installed_wheels")
    wheels = scan.value or {}
    numpy, *others = libraries.LIBRARIES
    found = [libraries.try_import(numpy, wheels)]
    if not _failures(found):
        found += pool.map(lambda library: libraries.try_import(library, wheels), others)
    if scan.fault:
        found.append(Finding("wheels", "warning", f"cannot be listed: {scan.fault}", "pip check"))
    return [*found, *libraries.overwritten(wheels)]


def _check_files() -> tuple[list[Finding], dict[str, Mapping[str, Any]]]:
    """Return what was found of the packaged files, and the record of those that are whole."""
    try:
        record = models.read_record()
    except (OSError, ValueError) as error:
        return [Finding("models", "failure", f"their record cannot be read: {error}", models.AGAIN, "model")], {}
    findings, whole = models.check_files(record)
    return findings, {name: facts for name, facts in record.items() if name in whole}


def _smallest(record: Mapping[str, Mapping[str, Any]]) -> Path:
    return models.RECORD.with_name(min(record, key=lambda name: int(record[name]["bytes"])))


def _check_results(pool: ThreadPoolExecutor, tested: Mapping[str, Mapping[str, Any]], device: str) -> list[Finding]:
    """Denoise the sample with every file that was recorded with a result; of the default one tell the memory too."""
    ended = pool.map(lambda name: call(devices.SELFTEST, "denoise_sample", name, device), tested)
    ends = dict(zip(tested, ended, strict=True))
    found = [models.judge_result(name, facts, ends[name]) for name, facts in tested.items()]
    if DEFAULT_MODEL in ends and not ends[DEFAULT_MODEL].fault:
        found.append(machine.check_memory(ends[DEFAULT_MODEL].value["megabytes"]))
    return found
