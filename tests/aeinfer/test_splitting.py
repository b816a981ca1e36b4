"""What is cut because it is too much at once gives what the whole gives: bands of rows, halves of batches and tiles."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aeinfer import AEInfer, limits
from aeinfer.batching import Part, TileJob
from aeinfer.model_info import ModelInfo
from aeinfer.splitting import halved, in_bands
from aeinfer.tiling import TilePlan, plan_tiles, plan_windows, split_rows
from tests.pictures import pixels_of
from tests.programs import run_python

# Bands


plans = st.one_of(
    st.builds(lambda h, w: plan_windows(h, w, window=8), st.integers(9, 90), st.integers(9, 40)),
    st.builds(
        lambda h, w, tile, halo: plan_tiles(h, w, tile=tile, halo=halo, stride=4),
        st.integers(1, 90),
        st.integers(1, 40),
        st.integers(4, 20),
        st.integers(0, 9),
    ),
)


@given(plans, st.integers(1, 5))
def test_bands_write_every_row_once_and_in_order(plan: TilePlan, rows: int) -> None:
    height, width = plan.keep[:, 1].max(), plan.keep[:, 3].max()
    written, end, tiles = np.zeros((height, width), int), 0, set()
    for band in split_rows(plan, rows):
        assert band.top <= end
        assert (band.plan.positions[:, 0] >= 0).all()
        assert band.top + (band.plan.positions[:, 0] + plan.height).max() == band.bottom
        mine = np.zeros((height, width), int)
        for y0, y1, x0, x1 in band.plan.keep:
            mine[band.top + y0 : band.top + y1, x0:x1] += 1
        assert not mine[:end].any()
        assert not mine[band.end :].any()
        assert (mine[end : band.end] > 0).all()
        written, end = written + mine, band.end
        tiles |= {(band.top + top, left) for top, left in band.plan.positions.tolist()}
    assert end == height
    assert tiles == set(map(tuple, plan.positions.tolist()))
    if not plan.blended:
        assert (written == 1).all()


@given(plans, st.integers(1, 5))
def test_a_band_in_place_reads_the_image_as_it_was(plan: TilePlan, rows: int) -> None:
    height, width = int(plan.keep[:, 1].max()), int(plan.keep[:, 3].max())
    image = pixels_of((height, width, 1))
    before, end = image.copy(), 0
    jobs = in_bands(TileJob(image, image, plan), rows, in_place=True)
    for band, job in zip(split_rows(plan, rows), jobs, strict=True):
        np.testing.assert_array_equal(job.image, before[band.top : band.bottom])
        job.out[end - band.top : band.end - band.top] = 0  # written before the next is asked for
        end = band.end
    assert not image.any()


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("shape", [(61, 37), (61, 37, 3)])
def test_blended_bands_change_no_bit(
    tiny_window: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], in_place: bool
) -> None:
    image = pixels_of(shape, "float32")
    with AEInfer.load(tiny_window, threads=1) as ae:
        whole = ae(image, strength=0.7)
        monkeypatch.setattr(limits, "BLENDED_PIXELS", 37 * 12)  # three rows of windows
        assert ae._limits.band_rows(ae._limits.plan(61, 37), 37) == 3
        np.testing.assert_array_equal(ae(image, strength=0.7, out=image if in_place else None), whole)


# Halves


def test_a_batch_is_halved_and_then_its_tile() -> None:
    image = pixels_of((64, 64, 1))
    plan = plan_tiles(64, 64, tile=16, halo=8, stride=4)
    job = TileJob(image, image.copy(), plan)
    both = [Part(job, 1, 3, slice(0, 2)), Part(job, 5, 6, slice(2, 3))]
    info = ModelInfo(halo=8, stride=4)
    batches = halved(both, info)
    assert [[(part.first, part.last, part.rows) for part in batch] for batch in batches] == [
        [(1, 2, slice(0, 1))],
        [(2, 3, slice(0, 1)), (5, 6, slice(1, 2))],
    ]
    written = np.zeros((64, 64), int)
    inner = halved(batches[0], info)
    for (part,) in inner:
        assert part.job.plan.height * part.job.plan.width < plan.height * plan.width
        y0, y1, x0, x1 = part.job.plan.keep[part.first]
        part.job.out[y0:y1, x0:x1] = 0
        top, left = plan.positions[1]
        written[top + y0 : top + y1, left + x0 : left + x1] += 1
    y0, y1, x0, x1 = plan.keep[1]
    assert (written[y0:y1, x0:x1] == 1).all()
    assert written.sum() == (y1 - y0) * (x1 - x0)
    assert not job.out[y0:y1, x0:x1].any()


def test_the_smallest_tile_and_a_window_are_not_halved() -> None:
    image = pixels_of((24, 24, 1))
    tiles, windows = plan_tiles(24, 24, tile=4, halo=8, stride=4), plan_windows(24, 24, window=8)
    for plan, info in ((tiles, ModelInfo(halo=8, stride=4)), (windows, ModelInfo(tile=8))):
        assert halved([Part(TileJob(image, image, plan), 0, 1, slice(0, 1))], info) == []


# Too little memory


def short_of_memory(ae: AEInfer, most: int, after: int = 0) -> list[int]:
    """Let the network fail for batches of more than `most` pixels, after so many runs; return all it was asked."""
    asked: list[int] = []
    run = ae._open_session().run

    def failing(batch: np.ndarray) -> np.ndarray:
        asked.append(batch.size // batch.shape[1])
        if asked[-1] > most and len(asked) > after:
            raise MemoryError
        return run(batch)

    ae._session.run = failing  # type: ignore
    return asked


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("most", [160 * 160, 130 * 130])
def test_too_little_memory_is_met_with_smaller_tiles(
    tiny_model: Path, caplog: pytest.LogCaptureFixture, most: int, in_place: bool
) -> None:
    caplog.set_level(logging.INFO, "aeinfer")
    image = pixels_of((150, 230, 3))
    with AEInfer.load(tiny_model, threads=1, tile=16) as small:
        expected = small(image)
    with AEInfer.load(tiny_model, threads=1) as ae:
        asked = short_of_memory(ae, most)
        for work in (image.copy(), image.copy()):
            clean = ae(work, out=work if in_place else None)
            np.testing.assert_array_equal(clean, expected)
        failures = [pixels for pixels in asked if pixels > most]
        asked.clear()
        ae(image)
    assert 1 <= len(failures) <= 8
    assert max(asked) <= most, "what has failed once is not tried again"
    assert [record.message for record in caplog.records] == [
        f"not enough memory for {failures[0]} pixels in the network at once: going on in smaller tiles"
    ]


@pytest.mark.parametrize("most", [90 * 90, 68 * 68])
def test_tiles_that_were_cut_to_all_halo_are_larger_again_once_there_is_memory(tiny_model: Path, most: int) -> None:
    image = pixels_of((150, 230, 3))
    with AEInfer.load(tiny_model, threads=1) as ae:
        expected, whole = ae(image), ae._open_session().run
        short_of_memory(ae, most)
        np.testing.assert_array_equal(ae(image), expected)
        ae._session.run = whole  # type: ignore
        assert ae._limits.tile == 2 * ae.info.halo
        np.testing.assert_array_equal(ae(image), expected)


def test_memory_that_becomes_short_half_way_through_in_place(tiny_model: Path) -> None:
    image = pixels_of((230, 150, 3))
    with AEInfer.load(tiny_model, threads=1, tile=32, batch=1) as ae:
        expected = ae(image)
        asked = short_of_memory(ae, 80 * 80, after=9)
        np.testing.assert_array_equal(ae(image, out=image), expected)
    assert len(asked) > 15


def test_a_batch_of_windows_is_halved(tiny_window: Path) -> None:
    images = pixels_of((50, 8, 8))
    with AEInfer.load(tiny_window, threads=1) as ae:
        expected = ae.denoise_batch(images)
        asked = short_of_memory(ae, 700)
        np.testing.assert_allclose(ae.denoise_batch(images), expected, atol=1)
    assert max(asked[2:]) <= 1600


@pytest.mark.parametrize("side", [8, 5])
def test_a_window_is_not_halved(tiny_window: Path, side: int) -> None:
    with AEInfer.load(tiny_window, threads=1) as ae:
        expected = ae(pixels_of((side, side)))
        asked = short_of_memory(ae, 63)
        with pytest.raises(MemoryError):
            ae(pixels_of((side, side)))
        assert asked == [64]
    with AEInfer.load(tiny_window, threads=1) as ae:
        ae._limits.expect_less_than(64)  # as where little was left when it was loaded
        np.testing.assert_array_equal(ae(pixels_of((side, side))), expected)


def test_memory_for_not_even_the_smallest_tile_is_an_error(tiny_model: Path) -> None:
    with AEInfer.load(tiny_model, threads=1) as ae:
        short_of_memory(ae, 60 * 60)  # a stride and two halos are 68
        with pytest.raises(MemoryError):
            ae(pixels_of((150, 230, 3)))


LIMITED = """
import logging, resource, sys
def used():
    return int(open("/proc/self/status").read().split("VmData:")[1].split()[0]) * 1024
import numpy as np
from aeinfer import AEInfer, kernels
logging.basicConfig(level=logging.INFO)
ae = AEInfer.load(sys.argv[1], threads=1, tile=2048)
image = np.random.default_rng(0).integers(0, 256, (2048, 2048, 3), np.uint8)
kernels.load_loops()
ae.warmup((64, 64, 3))
out = np.zeros_like(image)
before = used()
resource.setrlimit(resource.RLIMIT_DATA, (before + (100 << 20), resource.RLIM_INFINITY))
ae(image, out=out)
print(used() - before < 50 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print((out == AEInfer.load(sys.argv[1], threads=1, tile=256)(image)).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_limited_process_goes_on_in_smaller_tiles_and_leaves_memory_for_the_writer(tiny_model: Path) -> None:
    *said, leaves_memory, is_right = run_python(LIMITED, tiny_model)
    assert (leaves_memory, is_right) == ("True", "True"), said
    assert any("going on in smaller tiles" in line for line in said)
