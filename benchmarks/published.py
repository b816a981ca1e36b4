"""Figures of others, for tables and the plot to show beside our own; nothing in here was measured by this project.

PSNR in dB at sigma 15, 25, 50 by (test set, input), the protocol of README.md. `speed` is relative to FFDNet's at one
thread: networks of both shapes with random weights side by side in onnxruntime on two AVX2 cores; for CBM3D the package
bm3d. The papers measure whole pictures of Kodak24, where our set holds 500x500 pixels of each.
"""

from dataclasses import dataclass

Triple = tuple[float, float, float]
Figures = dict[tuple[str, str], Triple]


@dataclass(frozen=True)
class Published:
    source: str
    psnr: Figures
    speed: float | None = None


def in_floats(cbsd68: Triple, kodak24: Triple | None = None) -> Figures:
    """Figures of a paper: its noise is unclipped."""
    return {("cbsd68", "float"): cbsd68} | ({("kodak24", "float"): kodak24} if kodak24 else {})


PUBLISHED = {
    "CBM3D": Published(
        "Dabov et al., ICIP 2007, as Zhang et al. 2018 measured it",
        in_floats((33.52, 30.71, 27.38), (34.28, 31.68, 28.46)),
        speed=0.08,
    ),
    "IRCNN": Published("Zhang et al., CVPR 2017", in_floats((33.86, 31.16, 27.86), (34.69, 32.18, 28.93))),
    "DnCNN": Published("Zhang et al., TIP 2017", in_floats((33.90, 31.24, 27.95), (34.60, 32.14, 28.95)), 0.33),
    "FFDNet": Published(
        "Zhang et al., TIP 2018, by its authors' weights",
        in_floats((33.88, 31.21, 27.95), (34.65, 32.13, 28.96)),
        1.0,
    ),
    "FFDNet-clip": Published(
        "the same, by its authors' weights for clipped noise",
        {("cbsd68", "8-bit"): (33.89, 31.23, 27.95), ("kodak24", "8-bit"): (34.66, 32.17, 29.00)},
        1.0,
    ),
    "DRUNet": Published("Zhang et al., TPAMI 2021", in_floats((34.30, 31.69, 28.51), (35.31, 32.89, 29.86)), 0.1),
    "SwinIR": Published("Liang et al., ICCVW 2021", in_floats((34.42, 31.78, 28.56)), speed=0.01),
    "Restormer": Published(
        "Zamir et al., CVPR 2022", in_floats((34.40, 31.79, 28.60), (35.47, 33.04, 30.01)), speed=0.04
    ),
}

# of a grey set, with networks for grey images alone
PUBLISHED_GREY = {
    "BM3D": Published(
        "Dabov et al., TIP 2007, as Zhang et al. 2017 measured it", {("bsd68", "float"): (31.07, 28.57, 25.62)}
    ),
    "DnCNN": Published("Zhang et al., TIP 2017", {("bsd68", "float"): (31.73, 29.23, 26.23)}),
    "FFDNet": Published("Zhang et al., TIP 2018", {("bsd68", "float"): (31.63, 29.19, 26.29)}),
}

# FFDNet on every third pair of the real cameras, told one sigma for all: 10 is the best for it
FFDNET_REAL = {"method": "FFDNet, told sigma 10", "psnr_third": 38.01}
