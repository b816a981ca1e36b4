"""How good a network is on held-out pictures; nothing is learnt here."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from train.data import Data, Pair

LOSSES = {"bce": F.binary_cross_entropy, "mse": F.mse_loss, "l1": F.l1_loss}


def measure(model: nn.Module, data: Data, loss: str, device: str) -> dict[str, float]:
    """Return the figures of an epoch by their names in curve.csv: held-out loss, PSNR, and the worst of each kind."""
    held_out, psnr = validate(model, data.validation, loss, device)
    worst = {f"psnr/worst {kind}": worst_psnr(model, each, device) for kind, each in data.without_noise.items()}
    return {"loss/validation": held_out, "psnr/validation": psnr, **worst}


@torch.no_grad()
def validate(model: nn.Module, pairs: list[Pair], loss: str, device: str) -> tuple[float, float]:
    """Mean loss, and mean over the images of the PSNR in dB, of the output clipped to [0, 1]."""
    model.eval()
    losses, psnrs = [], []
    for noisy, clean in pairs:
        target = torch.from_numpy(clean).to(device)
        output = model(torch.from_numpy(noisy).to(device)).clamp(0, 1)
        losses.append(LOSSES[loss](output, target).item())
        psnrs.append(image_psnr(output, target).cpu())
    return float(np.mean(losses)), torch.cat(psnrs).mean().item()


@torch.no_grad()
def worst_psnr(model: nn.Module, pictures: list[NDArray[np.float32]], device: str) -> float:
    """PSNR in dB, 100 at most, of the picture that comes out worst, of those that should come out as they are.

    The mean over noisy pictures does not tell: a patch of grass or cloth wiped out in one of them costs 10 dB there.
    """
    given = [torch.from_numpy(picture).to(device) for picture in pictures]
    return min(100.0, *(image_psnr(model.eval()(picture).clamp(0, 1), picture).item() for picture in given))


def image_psnr(output: Tensor, target: Tensor) -> Tensor:
    """(N,) PSNR in dB for data range 1, each image by itself."""
    return -10 * torch.log10((output - target).square().flatten(1).mean(1))
