"""What a recipe says of itself."""

from dataclasses import asdict

import pytest

from train.recipes import RECIPES, noise_of


@pytest.mark.parametrize(
    ("model", "noise"),
    [
        ("dense", "none"),
        ("conv", "Gaussian, sigma 127.5, clipped and not"),
        ("photo", "Gaussian, sigma 0 to 55, clipped and not and a camera's"),
        ("photo-camera", "a camera's"),
    ],
)
def test_the_noise_of_a_recipe_is_named(model: str, noise: str) -> None:
    assert noise_of(asdict(RECIPES[model, "default"])) == noise
