"""The one way into numba: a decorator for serial kernels that release the GIL; it holds no kernel itself.

Kernels are serial because numba's thread layer aborts the process when two threads enter it, and compiled on first
call, so that importing a room of kernels compiles nothing.
"""

import functools
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

import numpy as np

from aeinfer.errors import BackendMissingError
from aeinfer.forking import hold_at_forks

try:
    import numba
    from numba.core.caching import CompileResultCacheImpl, FunctionCache
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
        try:
            compiled._cache = _Kept(function)
        except RuntimeError:  # nor one to look in: there is no source file beside the bytecode
            _say_uncached()
    kernel: Kernel = compiled
    return kernel


def is_compiled(kernel: Callable[..., object]) -> bool:
    """Tell whether a kernel is, or will be, machine code: with NUMBA_DISABLE_JIT it stays Python."""
    return hasattr(kernel, "stats")


def cache_path(kernel: Callable[..., object]) -> str | None:
    """Return the folder that a kernel's machine code is kept in; None where none is."""
    return getattr(getattr(kernel, "stats", None), "cache_path", None)


class _Places(CompileResultCacheImpl):  # type: ignore[misc]
    """Where numba would keep machine code, whether or not it may be written there."""

    _locator_classes: ClassVar = [
        type(place.__name__, (place,), {"ensure_cache_path": lambda _: None})
        for place in CompileResultCacheImpl._locator_classes
    ]


class _Kept(FunctionCache):  # type: ignore[misc]
    """Machine code that was kept by another, such as root in a container's build; numba looks only where it may write.

    Attributes
    ----------
    cache_path : str or None
        Its folder, once something was found there.
    """

    _impl_class = _Places
    cache_path: str | None = None

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Machine code that was kept; None where there is none, or none that is whole."""
        try:
            found = super().load_overload(signature, target)
        except Exception:  # noqa: BLE001 - as in _Cache
            return None
        if found is not None:
            self.cache_path = self._cache_path
        return found

    def save_overload(self, _signature: Any, _compiled: Any) -> None:
        """Keep nothing."""
        _say_uncached()


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache on disk, but what is wrong with the disk costs time and nothing else."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        self._kept = _Kept(function)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Machine code that was kept; None where there is none, or none that is whole."""
        try:
            found = super().load_overload(signature, target)
        except Exception:  # noqa: BLE001 - the power failed while it was kept, and what is damaged raises anything
            with suppress(OSError):
                self.flush()
            return None
        return self._kept.load_overload(signature, target) if found is None else found

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


hold_at_forks(global_compiler_lock)  # else a child that is forked while another thread compiles would wait for ever
