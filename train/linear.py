"""What a linear method makes of digits: principal components as encoder and decoder, what a network has to beat."""

import numpy as np
from numpy.typing import NDArray

Digits = NDArray[np.float32]


class PrincipalComponents:
    """The best linear autoencoder: fitted on clean images, told sigma, with the best linear weight for each component.

    With all components it is the Wiener filter, C (C + sigma^2 I)^-1 around the mean.

    Parameters
    ----------
    images : (N, H, W) float32 in [0, 1]
    """

    def __init__(self, images: Digits) -> None:
        flat = images.reshape(len(images), -1)
        self.mean = flat.mean(0)
        variances, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
        self.variances, self.vectors = variances[::-1], vectors[:, ::-1].astype(np.float32)

    def denoise(self, images: Digits, numbers: int, sigma: float = 0.0) -> Digits:
        """Squeeze images through so many numbers, and clip to [0, 1]; sigma in 8-bit levels, of unclipped noise."""
        basis, variances = self.vectors[:, :numbers], np.maximum(self.variances[:numbers], 1e-12)
        codes = (images.reshape(len(images), -1) - self.mean) @ basis
        codes *= (variances / (variances + (sigma / 255) ** 2)).astype(np.float32)
        return np.clip(codes @ basis.T + self.mean, 0, 1).reshape(images.shape)
