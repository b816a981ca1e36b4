"""Write tests/data/*.onnx: tiny networks of random weights, for the tests that run without torch.

`python -m tests.export.make_tiny_models`; test_tiny_models.py checks that the files still are what this makes.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from aeinfer.atomic import write_whole
from aeinfer.model_info import ModelInfo
from export.to_onnx import to_onnx, with_facts
from train.photo_networks import PhotoAutoencoder

FOLDER = Path(__file__).parents[1] / "data"
HALO = 32  # more than the receptive radius of two scales


class TinyColor(PhotoAutoencoder):
    """Two scales of a few channels; unlike a new photo model it does change its input."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__(widths=(4, 8), encoder=(1,), middle=3, decoder=(2,), channels=channels)
        nn.init.normal_(self.tail.weight, std=0.2)


class TinyGrey(TinyColor):
    def __init__(self) -> None:
        super().__init__(channels=1)


class TinyWindow(nn.Module):
    """A dense autoencoder of 8x8 images with a code of 16."""

    channels, window, stride = 1, 8, 8

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(16, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def tiny_networks() -> dict[str, nn.Module]:
    """The networks by file name, always of the same weights."""
    networks: dict[str, nn.Module] = {}
    for name, kind in {"tiny": TinyColor, "tiny_grey": TinyGrey, "tiny_window": TinyWindow}.items():
        torch.manual_seed(7)
        networks[name] = kind().eval()
    window = networks["tiny_window"]
    return networks | {"tiny_window.encoder": window.encoder, "tiny_window.decoder": window.decoder}


def example(name: str, network: nn.Module) -> Tensor:
    if name == "tiny_window.decoder":
        return torch.rand(2, 16)
    if "window" in name:
        return torch.rand(2, 1, 8, 8)
    return torch.rand(2, network.channels, 16, 24)


def main() -> None:
    networks = tiny_networks()
    for name, network in networks.items():
        family = networks[name.partition(".")[0]]
        free = family.window is None
        info = ModelInfo(
            name=name,
            architecture="tiny",
            channels=family.channels,
            tile=family.window,
            stride=family.stride if free else 1,
            halo=HALO if free else 0,
            license="MIT",
        )
        proto = to_onnx(network, example(name, network), free_sides=free, stride=family.stride)
        write_whole(FOLDER / f"{name}.onnx", with_facts(proto, info))


if __name__ == "__main__":
    main()
