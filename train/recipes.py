"""Recipes: what decides a run, and which there are for each network; nothing is trained here."""

from dataclasses import dataclass, field, replace
from typing import Any

VARIANT = ("decoder", "bottleneck", "code", "widths")  # the options of a network


@dataclass(frozen=True)
class Recipe:
    """All that decides a run but its start and its teacher: the same ones on the same data give the same weights."""

    model: str  # a name in MODELS
    options: dict[str, Any] = field(default_factory=dict)  # which variant, from VARIANT
    loss: str = "mse"  # "bce", "mse" or "l1"
    sigma: float = 0.0  # noise in 8-bit levels; for photographs the upper end for most crops, drawn from 0
    batch: int = 128
    crop: int = 0  # side of the crops of photographs, in pixels
    epochs: int = 30
    camera: float = 0.0  # share of the crops with a camera's noise instead of Gaussian; 1 is for cameras alone
    clean: float = 0.02  # share of the other crops without any noise: what a good photograph loses is learnt there
    grey: float = 0.0  # share of all crops that are grey, with the same noise in all colours; 1 is for one channel
    optimizer: str = "adamw"  # or "adadelta", or "muon": its rate for the hidden convolutions, AdamW for the rest
    learning_rate: float = 1e-3
    muon_rate: float = 8e-3
    cosine: bool = True  # warm up, then fall to zero along a cosine; False keeps the rate
    ema: float = 0.0  # weights are also averaged with this decay per step; 0 does not average
    clip: float = 0.1  # largest norm of the gradient: one spike stays in the momentum and costs epochs; 0 is none
    patience: int = 0  # stop after so many epochs without a lower validation loss; 0 never does
    bfloat16: bool = False  # convolve in bfloat16; weights, their average and the loss stay float32
    rehearse: bool = False  # round in training what the int8 network will round at half resolution (dense blocks)
    int8: bool = False  # train with rounded weights and activations, from the weights of a trained network
    seed: int = 0


SEED = Recipe(
    "dense", loss="bce", epochs=300, optimizer="adadelta", learning_rate=1.0, cosine=False, clip=0, patience=10
)


def to_longer(recipe: Recipe) -> Recipe:
    """A run that goes on from the weights of one that has ended."""
    return replace(recipe, muon_rate=4e-3, learning_rate=5e-4)


def to_int8(recipe: Recipe) -> Recipe:
    """The short run with rounding that follows a long one without; in float32: bfloat16 is as coarse as the steps."""
    return replace(
        recipe, int8=True, rehearse=False, epochs=10, optimizer="adamw", learning_rate=4e-4, clip=0.1, bfloat16=False
    )


PHOTO = Recipe(
    "photo",
    loss="l1",
    sigma=55.0,
    batch=8,
    crop=128,
    epochs=80,
    camera=0.35,
    clean=0.22,
    grey=0.25,
    optimizer="muon",
    ema=0.999,
    clip=0.3,
    bfloat16=True,
)
CONV = Recipe("conv", loss="bce", sigma=127.5, epochs=18, optimizer="muon", muon_rate=0.02, ema=0.999, bfloat16=True)
RECIPES = {
    # the seed's recipe; adadelta at rate 1, as its paper has it and as Keras had it when the recipe was written
    ("dense", "seed"): SEED,
    ("conv", "seed"): replace(SEED, model="conv", sigma=127.5),
    ("dense", "default"): Recipe("dense", epochs=40, ema=0.999),
    ("conv", "default"): CONV,
    ("unet", "default"): replace(CONV, model="unet"),
    ("photo", "default"): PHOTO,
    ("photo-camera", "default"): replace(PHOTO, model="photo-camera", camera=1.0, grey=0.1),
    ("photo-fast", "default"): replace(PHOTO, model="photo-fast", epochs=120, rehearse=True),
    ("photo-fast-grey", "default"): replace(PHOTO, model="photo-fast-grey", epochs=120, grey=1.0),
    ("photo-best", "default"): replace(PHOTO, model="photo-best", epochs=52),
}
RECIPES |= {
    (model, name): changed(recipe)
    for (model, _), recipe in RECIPES.items()
    if model.startswith("photo")
    for name, changed in (("longer", to_longer), ("int8", to_int8))
}


def noise_of(recipe: dict[str, Any]) -> str:
    """The noise that a recipe trains on, in words."""
    camera = recipe.get("camera", 0)
    if camera == 1 or (camera and not recipe["sigma"]):
        return "a camera's"
    if not recipe["sigma"]:
        return "none"
    blind = recipe["crop"] > 0
    white = f"Gaussian, sigma {'0 to ' if blind else ''}{recipe['sigma']:g}, clipped and not"
    return f"{white} and a camera's" if camera else white
