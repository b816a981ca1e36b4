"""What a caller of `AEInfer.load` may ask for, checked; what is asked for is done elsewhere."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from aeinfer.errors import InputError

__all__ = ["Settings"]

MOST = {"threads": 1024, "tile": 1 << 20, "batch": 1 << 20}  # no machine has more use for


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
        if self.color not in ("rgb", "bgr"):
            raise InputError(f"color is 'rgb' or 'bgr', got {self.color!r}")
        for option, most in MOST.items():
            value = getattr(self, option)
            if value is not None and not (isinstance(value, int | np.integer) and 1 <= value <= most):
                raise InputError(f"{option} is a whole number from 1 to {most}, got {value!r}")
        if self.max_memory_mb is not None and not 0 < self.max_memory_mb < math.inf:
            raise InputError(f"max_memory_mb is a number of megabytes above 0, got {self.max_memory_mb}")
