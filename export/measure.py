"""Facts measured on an exported file: the halo that suffices, the memory a tile takes, PSNR on held-out images."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from aeinfer.errors import InputError, ModelError
from aeinfer.model_info import ModelInfo
from aeinfer.session import Session
from train.validation import image_psnr

Tensor = NDArray[np.float32]
HALF_A_LEVEL = 0.5 / 255


def measure_halo(session: Session, images: Sequence[Tensor], stride: int, limit: int = 192) -> tuple[int, float]:
    """Return a halo beyond which nothing changes a kept value by half an 8-bit level, and its error.

    It is one stride more than what suffices for these images: there are others.

    Parameters
    ----------
    images : sequence of (1, C, S, S) float32
        Noisy images, real ones and flat ones, with S >= 2 * limit + 8 * stride, `limit` on all sides of what is kept:
        what lies further matters most where little is near.

    Raises
    ------
    InputError
        None up to `limit` suffices.
    """
    sufficient = False
    for halo in range(stride, limit + 1, stride):
        error = max(_cut_error(session, image, halo, stride) for image in images)
        if sufficient and error < HALF_A_LEVEL:
            return halo, error * 255
        sufficient = error < HALF_A_LEVEL
    raise InputError(f"no halo up to {limit} pixels suffices: this network looks further than tiles allow")


def _cut_error(session: Session, image: Tensor, halo: int, stride: int) -> float:
    """Largest change of the middle of an image when only `halo` pixels around it are given."""
    side = image.shape[2]
    kept = 8 * stride  # many places along its edges: few find too small a halo
    start = (side - kept) // 2 // stride * stride
    whole = session.run(image)[:, :, start : start + kept, start : start + kept]
    cut = np.ascontiguousarray(image[:, :, start - halo : start + kept + halo, start - halo : start + kept + halo])
    return float(np.abs(session.run(cut)[:, :, halo : halo + kept, halo : halo + kept] - whole).max())


def receptive_radius(model: nn.Module) -> int:
    """Return how many pixels away, at most, an input pixel can change an output pixel, whatever the weights.

    With positive weights and no biases a single bright pixel reaches exactly the outputs that depend on it.
    """
    probe, stride = copy.deepcopy(model).double().train(), model.stride  # train: unclamped
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else 0)
        side, radius = 32 * stride, 0
        for phase in (0, stride - 1):  # the first and the last pixel of a block reach furthest
            at = side // 2 + phase
            images = torch.zeros(1, model.channels, side, side, dtype=torch.float64)
            images[..., at, at] = 1
            reached = probe(images).abs().sum((0, 1)).nonzero()
            radius = max(radius, int((reached - at).abs().max()))
    return radius


MEASURE_MEMORY = """
import json, re, sys
from math import prod
from pathlib import Path
import numpy as np
from aeinfer.session import Session
session = Session(sys.stdin.buffer.read(), "measured", device="cpu")
shapes, peaks = json.loads(sys.argv[1]), []
for shape in shapes:
    session.run(np.zeros(shape, np.float32))
    # not getrusage: its maximum begins with the parent's
    peaks.append(1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]))
less, more = (shape[0] * prod(shape[2:]) for shape in shapes)
print((peaks[1] - peaks[0]) // (more - less))
"""


def measure_bytes_per_pixel(content: bytes, channels: int, window: int | None = None) -> int:
    """Return how much a process grows per pixel of a batch, input and output included (peak resident size; on Linux).

    The batch is one tile, or, of a network with a fixed window, many windows.

    Raises
    ------
    ModelError
        The process ended before it had measured, for want of memory as a rule.
    """
    if not Path("/proc/self/status").exists():
        return ModelInfo.bytes_per_pixel  # not measured: the runtime's own assumption
    if window is None:
        shapes = [(1, channels, side, side) for side in (256, 1024)]
    else:
        shapes = [(pixels // window**2, channels, window, window) for pixels in (2**16, 2**20)]
    command = [sys.executable, "-c", MEASURE_MEMORY, json.dumps(shapes)]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"exit status {done.returncode}"
        raise ModelError(f"how much memory the network takes could not be measured: {said}")
    return max(1, int(done.stdout))


def held_out_psnr(run: Callable[[Tensor], Tensor], pairs: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Mean PSNR in dB of what `run` makes of the images of (noisy, clean) batches, data range 1."""
    outputs = [(torch.from_numpy(run(noisy)).double(), torch.from_numpy(clean)) for noisy, clean in pairs]
    return float(torch.cat([image_psnr(*pair) for pair in outputs]).mean())
