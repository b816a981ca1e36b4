"""Calls a function in a Python process of its own, so that whatever kills or stops it is a sentence; knows no library.

That process looks for modules where this one does.
"""

import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

__all__ = ["Ended", "call"]

PATIENCE = 120.0  # seconds; the slowest call compiles kernels, which takes six of a fast core

# Windows ends a process with the number of the exception that it did not handle
WINDOWS = {0xC000001D: signal.SIGILL, 0xC0000005: signal.SIGSEGV}

PROGRAM = """
import importlib, json, sys

def tell(told):
    print("\\n" + json.dumps(told), flush=True)

def tell_fault(kind, error, trace):
    tell({"fault": f"{kind.__name__}: {error}"})
    sys.__excepthook__(kind, error, trace)

sys.excepthook = tell_fault
module, name, *arguments = sys.argv[1:]
tell({"value": getattr(importlib.import_module(module), name)(*arguments)})
"""


@dataclass(frozen=True)
class Ended:
    """How a call ended.

    Attributes
    ----------
    value : object
        What the function returned, through JSON; None where there is a fault.
    fault : str
        The exception ("ImportError: ..."), the signal ("Illegal instruction (signal 4)") or the silence that ended it.
    printed : str
        All that it and its libraries said meanwhile.
    """

    value: Any = None
    fault: str = ""
    printed: str = ""

    @property
    def why(self) -> str:
        """The fault on one line of bearable length."""
        return " ".join(self.fault.split())[:200]


def call(module: str, name: str, *arguments: str) -> Ended:
    """Call a function of that module with strings.

    Examples
    --------
    >>> call("os.path", "basename", "in/a.png").value
    'a.png'
    """
    program = f"import sys; sys.path[:] = {sys.path!r}\n{PROGRAM}"
    command = [sys.executable, "-c", program, module, name, *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return Ended(fault=f"no answer within {PATIENCE:g} seconds")
    except OSError as error:
        return Ended(fault=f"cannot start Python anew as {sys.executable!r}: {error.strerror}")
    out, complaints = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    told = _last_told(out)
    return Ended(told.get("value"), _signal(done.returncode) or told.get("fault", ""), out + complaints)


def _signal(code: int) -> str:
    """Say which signal ended a process; nothing if none did."""
    number = WINDOWS.get(code, -code)
    return f"{signal.strsignal(number)} (signal {number})" if number > 0 else ""


def _last_told(out: str) -> dict[str, Any]:
    """Return the object that the program printed last, whatever libraries print before and after."""
    for line in reversed(out.splitlines()):
        if re.match(r'\{"(value|fault)": ', line):
            told: dict[str, Any] = json.loads(line)
            return told
    return {"fault": "it ended without a word"}
