"""What `aeinfer bench` measured on this machine, remembered in a file of the user's cache folder; measures nothing.

The file holds one family per model and machine: the model's files (fp32, int8, fp16) that were measured in one run,
side by side, each with its fingerprint and the settings that were best for it. Whatever is wrong with the file, it is
as if there were none.
"""

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aeinfer.atomic import write_whole
from aeinfer.machine import cache_folder
from aeinfer.models import PRECISIONS

__all__ = ["CLEARLY", "Tuned", "faster", "recall", "remember"]

VERSION = 1
CLEARLY = 1.03  # a factor below it is the noise of one measurement

logger = logging.getLogger("aeinfer")


@dataclass(frozen=True)
class Tuned:
    """The settings that were best for one model file on one machine.

    Attributes
    ----------
    fingerprint, precision : str
        Which file it is.
    threads : int
        Threads of the network.
    tile : int or None
        Kept side of a tile in pixels; None for a fixed window.
    batch_pixels : int
        Pixels in one run of the network, where small images or windows share it.
    mpix_per_s : float
        Throughput with these settings.
    """

    fingerprint: str
    precision: str
    threads: int
    tile: int | None
    batch_pixels: int
    mpix_per_s: float


def recall(fingerprint: str, machine: Callable[[], str]) -> tuple[Tuned, ...]:
    """Return what was measured of the family that a file belongs to: nothing where this machine measured none.

    Parameters
    ----------
    fingerprint : str
        As in ModelInfo.
    machine : callable
        Gives the machine's name; called only where there is a file.
    """
    families = _families(_read())
    for family in families.get(machine(), ()) if families else ():
        if any(tuned.fingerprint == fingerprint for tuned in family):
            return family
    return ()


def faster(family: Sequence[Tuned], fingerprint: str) -> Tuned | None:
    """Return the file of the family that was clearly faster than the one of that fingerprint, the fastest; or None.

    Examples
    --------
    >>> fp32, int8 = Tuned("a", "fp32", 2, 512, 65536, 4.0), Tuned("b", "int8", 2, 512, 65536, 6.0)
    >>> faster([fp32, int8], "a").precision, faster([fp32, int8], "b")
    ('int8', None)
    """
    own = next(tuned for tuned in family if tuned.fingerprint == fingerprint)
    best = max(family, key=lambda tuned: tuned.mpix_per_s)
    return best if best.mpix_per_s > own.mpix_per_s * CLEARLY else None


def remember(family: Sequence[Tuned], machine: str) -> Path:
    """Write a family into the file, in the place of what was known of its files on this machine, and return its path.

    Raises
    ------
    OSError
        The file cannot be written, or there is no home to write it in.
    """
    families = _families(_read())
    measured = {tuned.fingerprint for tuned in family}
    kept = [old for old in families.get(machine, ()) if measured.isdisjoint(tuned.fingerprint for tuned in old)]
    families[machine] = (*kept, tuple(family))
    rows = {name: [[asdict(tuned) for tuned in each] for each in known] for name, known in families.items()}
    write_whole(_file(), json.dumps({"version": VERSION, "machines": rows}, indent=1).encode() + b"\n")
    return _file()


def _file() -> Path:
    return cache_folder() / "bench.json"


def _read() -> bytes:
    try:
        return _file().read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:  # no right to read it, or no home
        logger.info("what bench measured cannot be read: %s", error)
        return b""


def _families(text: bytes) -> dict[str, tuple[tuple[Tuned, ...], ...]]:
    """Return machine -> families; nothing, and one line in the log, where the text is not what `remember` writes."""
    if not text:
        return {}
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise ValueError(f"its version is {data['version']!r}, not {VERSION}")
        return {
            str(machine): tuple(tuple(_tuned(row) for row in family) for family in families)
            for machine, families in data["machines"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        logger.warning("%s is ignored, 'aeinfer bench' writes it anew: %s: %s", _file(), type(error).__name__, error)
        return {}


def _tuned(row: dict[str, Any]) -> Tuned:
    tuned = Tuned(**row)
    wholes = (tuned.threads, tuned.batch_pixels, 1 if tuned.tile is None else tuned.tile)
    if (
        tuned.precision not in PRECISIONS
        or not all(type(value) is int and value > 0 for value in wholes)
        or not (isinstance(tuned.mpix_per_s, float) and 0 < tuned.mpix_per_s < math.inf)
    ):
        raise ValueError(f"not what was measured: {row}")
    return tuned
