"""What a caller of `AEInfer.load` may ask for, checked; what is asked for is done elsewhere.

It needs no numpy: the command's options read their bounds here, and the doctor has options where numpy is missing.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from aeinfer.errors import InputError

__all__ = ["MOST", "Settings"]

MOST = {"threads": 1024, "tile": 1 << 20, "batch": 1 << 20}  # no machine has more use for
MOST_MEMORY_MB = 10**9


@dataclass(frozen=True)
class Settings:
    """The options of `AEInfer.load`, which explains them; None leaves one to aeinfer.

    Raises
    ------
    InputError
        An option has an impossible value.
    """

    device: str = "auto"
    threads: int | None = None
    tile: int | None = None
    batch: int | None = None
    max_memory_mb: float | None = None
    color: str = "rgb"
    spinning: bool | None = None
    session_options: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.device, str):
            raise InputError(f"device is a text such as 'cpu', got {self.device!r}")
        if self.color not in ("rgb", "bgr"):
            raise InputError(f"color is 'rgb' or 'bgr', got {self.color!r}")
        for option, most in MOST.items():
            value = getattr(self, option)
            if value is not None and not (isinstance(value, Integral) and 1 <= int(value) <= most):
                raise InputError(f"{option} is a whole number from 1 to {most}, got {value!r}")
        memory = self.max_memory_mb
        if memory is not None and not (isinstance(memory, Real) and 0 < memory <= MOST_MEMORY_MB):
            raise InputError(f"max_memory_mb is a number above 0, up to {MOST_MEMORY_MB}, got {memory!r}")
        if not isinstance(self.spinning, bool | None):
            raise InputError(f"spinning is True, False or None, got {self.spinning!r}")

    @property
    def channel_order(self) -> slice:
        """The slice that takes an image's colours into the order of a network, and back; of a grey image, all."""
        return slice(2, None, -1) if self.color == "bgr" else slice(0, 3)
