"""The one way into numba: a decorator for serial kernels that release the GIL; it holds no kernel itself.

Kernels are serial because numba's thread layer aborts the process when two threads enter it, and compiled on first
call, so that importing a room of kernels compiles nothing.
"""

import functools
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

from aeinfer.errors import BackendMissingError

try:
    import numba
    from numba.core.caching import FunctionCache
    from numba.core.compiler_lock import global_compiler_lock
except (ImportError, OSError) as error:  # OSError: of its library, where there is no memory to load it
    raise BackendMissingError(f"numba cannot be imported ({error}): pip install numba") from error

__all__ = ["cache_path", "is_compiled", "jit"]

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def jit(function: Kernel) -> Kernel:
    """Compile `function` on its first call, and keep the machine code on disk where some cache folder is writable.

    With NUMBA_DISABLE_JIT=1 it stays Python, and its integers wrap around as silently as machine code's.
    """
    if numba.config.DISABLE_JIT:
        return np.errstate(over="ignore")(function)
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    try:
        compiled._cache = _Cache(function)  # what njit(cache=True) does with numba's own
    except RuntimeError:  # numba found no folder for its cache: a read-only install with a read-only home
        _say_uncached()
    kernel: Kernel = compiled
    return kernel


def is_compiled(kernel: Callable[..., object]) -> bool:
    """Tell whether a kernel is, or will be, machine code: with NUMBA_DISABLE_JIT it stays Python."""
    return hasattr(kernel, "stats")


def cache_path(kernel: Callable[..., object]) -> str | None:
    """Return the folder that a kernel's machine code is kept in; None where none is."""
    return getattr(getattr(kernel, "stats", None), "cache_path", None)


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache on disk, but what is wrong with the disk costs time and nothing else."""

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Machine code that was kept; None where there is none, or none that is whole."""
        try:
            return super().load_overload(signature, target)
        except Exception:  # noqa: BLE001 - the power failed while it was kept, and what is damaged raises anything
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep machine code where there is space for it."""
        try:
            super().save_overload(signature, compiled)
        except OSError:
            _say_uncached()


@functools.cache
def _say_uncached() -> None:
    """Say it once, whatever number of kernels it holds for."""
    logging.getLogger("aeinfer").info(
        "no writable folder to keep compiled kernels in: compiling in this process; NUMBA_CACHE_DIR names another"
    )


if hasattr(os, "register_at_fork"):  # else a child that is forked while another thread compiles would wait for ever
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )
