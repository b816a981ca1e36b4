"""What a check found, and the line that mends it; checks nothing itself."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State"]

State = Literal["ok", "note", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes
    ----------
    name : str
        What was looked at.
    state : str
        "ok", "note" (good to know), "warning" (works worse than it could) or "failure" (does not work).
    sentence : str
        What was found.
    mend : str
        The line to type where something can be mended, else nothing.
    about : str
        What a failure is one of: a library or device ("backend"), a model file ("model"), or anything else ("machine").
    """

    name: str
    state: State
    sentence: str
    mend: str = ""
    about: Literal["backend", "model", "machine"] = "machine"
