"""Drawings in place of crops: text, charts, cartoons, screens, which photographs hold little of. uint8 (H, W, 3) RGB.

Edges are steps between flat colours, strokes a pixel or two wide, and nothing is smooth by chance: a network that saw
photographs alone takes small letters for texture and leaves noise in what is flat.
"""

import string
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Painter = Callable[[Image, int, NDArray[np.int_], np.random.Generator], None]
FONTS = (  # of those that matplotlib brings along
    *("DejaVu Sans", "DejaVu Sans:bold", "DejaVu Serif", "DejaVu Sans Mono"),
    *("STIXGeneral", "cmss10", "cmr10", "cmtt10"),
)
LETTERS = np.array([*(string.ascii_lowercase * 6 + string.ascii_uppercase + string.digits * 2 + ".,;:-()/%=+!?")])
STRIPES = range(3)  # red, green and blue, side by side in each pixel of a screen
PURE, FROM_PURE = 0.3, 40  # that share of the palettes is of colours at most so many levels from the range's ends
STRIPED = 0.75  # that share of the drawings that are three times as fine is drawn for them
STRIPE_FILTER = 8, 77, 86, 77, 8  # FreeType's FT_LCD_FILTER_DEFAULT
EM = 64.0  # units that outlines are kept in


def drawing(side: int, rng: np.random.Generator) -> Image:
    """(side, side, 3): one to three layers of shapes, curves, cells or text over a ground of one or two colours.

    Most are drawn larger and shrunk, which makes edges smooth, a quarter for the stripes of a screen; in the others
    they are steps, as in old screens.
    """
    fine = int(rng.integers(1, 4))
    palette = _palette(rng)
    canvas = _ground(side * fine, palette, rng)
    for _ in range(rng.integers(1, 4)):
        PAINTERS[rng.integers(len(PAINTERS))](canvas, fine, palette, rng)
    if fine == len(STRIPES) and rng.random() < STRIPED:
        return on_stripes(canvas)[..., :: rng.choice([-1, 1])]
    return cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)


def on_stripes(canvas: Image) -> Image:
    """A third as large, each colour seen where a screen's stripes show it: letters with colour at their edges.

    As FreeType and ClearType draw text, whose filter it is: five stripes wide, so that grey stays grey in the mean.
    """
    side = len(canvas) // len(STRIPES)
    rows = cv2.resize(canvas, (canvas.shape[1], side), interpolation=cv2.INTER_AREA)
    blurred = cv2.filter2D(rows, -1, np.array([STRIPE_FILTER], np.float32) / sum(STRIPE_FILTER))
    return np.stack([blurred[:, stripe :: len(STRIPES), stripe] for stripe in STRIPES], axis=2)


def _palette(rng: np.random.Generator) -> NDArray[np.int_]:
    """(N, 3), two to eight colours: greys alone, or any, black and white among them; some all of nearly pure ones.

    Noise that clips shifts these, and is another noise in each colour.
    """
    colours = rng.integers(0, 256, (rng.integers(2, 9), 3))
    if rng.random() < PURE:
        inwards = rng.integers(0, FROM_PURE, colours.shape) * rng.integers(0, 2, colours.shape)
        colours = np.abs(rng.choice([0, 255], colours.shape) - inwards)
    if rng.random() < 0.3:
        colours[:] = colours[:, :1]
    ends = rng.permutation([0, 255])
    shown = rng.integers(0, 3)
    colours[:shown] = ends[:shown, None]
    return colours


def _ground(side: int, palette: NDArray[np.int_], rng: np.random.Generator) -> Image:
    """The first colour, or a gradient from it to the last one in any direction."""
    canvas = np.full((side, side, 3), palette[0], np.uint8)
    if rng.random() < 0.25:
        corners = palette[0] + rng.random((2, 2, 1)) * (palette[-1] - palette[0])
        canvas[:] = cv2.resize(corners, (side, side), interpolation=cv2.INTER_LINEAR)
    return canvas


def _shapes(canvas: Image, fine: int, palette: NDArray[np.int_], rng: np.random.Generator) -> None:
    """Filled polygons and ellipses, half of them with an outline."""
    for _ in range(rng.integers(2, 40)):
        centre, axes = rng.integers(0, len(canvas), 2), _length(2, 50, fine, rng, 2)
        corners = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        kind = rng.integers(3)
        if kind == 0:  # an ellipse
            corners = np.linspace(0, 2 * np.pi, 40)
        elif kind == 1:  # upright
            corners = np.arange(4) * (np.pi / 2) + np.pi / 4
        outline = np.rint(centre + axes * np.stack([np.cos(corners), np.sin(corners)], 1)).astype(np.int32)
        cv2.fillPoly(canvas, [outline], _colour(palette, rng))
        if rng.random() < 0.5:
            cv2.polylines(canvas, [outline], True, _colour(palette, rng), _width(fine, rng))


def _curves(canvas: Image, fine: int, palette: NDArray[np.int_], rng: np.random.Generator) -> None:
    """Lines from edge to edge: random walks, straight ones, or a grid."""
    side = len(canvas)
    places = np.linspace(0, side - 1, rng.integers(2, 60))
    spacing = float(_length(3, 40, fine, rng))
    for i in range(rng.integers(1, 16)):
        if rng.random() < 0.5:
            heights = np.cumsum(rng.normal(0, _length(1, 12, fine, rng), len(places))) + rng.uniform(0, side)
        else:
            heights = np.full(len(places), i * spacing)
        line = np.rint(np.stack([places, heights], 1)[:, :: rng.choice([-1, 1])]).astype(np.int32)
        cv2.polylines(canvas, [line], False, _colour(palette, rng), _width(fine, rng))


def _cells(canvas: Image, fine: int, palette: NDArray[np.int_], rng: np.random.Generator) -> None:
    """Squares of random colours in a part of the picture: heat maps, codes, pictures of large pixels."""
    cell = int(_length(2, 24, fine, rng))
    top, left = rng.integers(0, len(canvas), 2) * rng.integers(0, 2)
    rows, columns = ((len(canvas) - start) // cell + 1 for start in (top, left))
    colours = palette[rng.integers(len(palette), size=(rows, columns))]
    part = canvas[top:, left:]
    part[:] = np.kron(colours, np.ones((cell, cell, 1), int))[: part.shape[0], : part.shape[1]]


def _text(canvas: Image, fine: int, palette: NDArray[np.int_], rng: np.random.Generator) -> None:
    """Lines of random words from a random place on, letters of 6 to 48 pixels to the em."""
    letters = outlines(FONTS[rng.integers(len(FONTS))])
    em, colour = float(_length(6, 48, fine, rng)), _colour(palette, rng)
    left, y = rng.uniform(-em, len(canvas) / 2), rng.uniform(0, len(canvas) / 2)
    spacing = rng.uniform(1.0, 1.6)
    while y < len(canvas) + em:
        x = left
        while x < len(canvas):
            for letter in rng.choice(LETTERS, rng.integers(1, 11)):
                polygons, width = letters[letter]
                placed = [np.rint(polygon * (em / EM) + (x, y)).astype(np.int32) for polygon in polygons]
                cv2.fillPoly(canvas, placed, colour)
                x += width * em / EM
            x += 0.3 * em
        y += spacing * em


PAINTERS: tuple[Painter, ...] = (_shapes, _curves, _cells, _text, _text)


@cache
def outlines(font: str) -> dict[str, tuple[list[NDArray[np.float64]], float]]:
    """Letter -> its polygons, y downwards, and how far the next one is, both in units of which EM make the em."""
    family, _, weight = font.partition(":")
    properties = FontProperties(family=family, weight=weight or "normal")
    found = {}
    for letter in sorted(set(LETTERS)):
        path = TextPath((0, 0), letter, size=EM, prop=properties)
        polygons = [np.asarray(polygon) * (1, -1) for polygon in path.to_polygons()]
        found[letter] = (polygons, path.get_extents().x1 + 0.06 * EM)
    return found


def _colour(palette: NDArray[np.int_], rng: np.random.Generator) -> list[int]:
    colour: list[int] = palette[rng.integers(len(palette))].tolist()
    return colour


def _length(
    least: float, most: float, fine: int, rng: np.random.Generator, size: int | None = None
) -> NDArray[np.float64]:
    """Log-uniform, in pixels of the finished drawing; returned in those of the canvas."""
    return np.asarray(fine * np.exp(rng.uniform(np.log(least), np.log(most), size)))


def _width(fine: int, rng: np.random.Generator) -> int:
    return int(np.rint(_length(0.7, 4, fine, rng)).clip(1))
