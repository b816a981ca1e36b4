"""The device that a network trains or runs on: asked for by name, refused where it does not work."""

import torch

from aeinfer.errors import InputError


def check_device(name: str) -> None:
    """Refuse a device that PyTorch cannot use here.

    Raises
    ------
    InputError
        There is no such device, or this PyTorch was not built for it.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"expected a device that works here, got {name!r} ({reason}); 'cpu' always does") from error
