"""The yardstick has FFDNet's shape, the noise is the same in every run, and the measures measure."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from aeinfer import AEInfer
from aeinfer.model_bytes import fingerprint_of
from aeinfer.session import Session
from benchmarks import bench_quality, noisy, packaged, peers, table
from benchmarks.ffdnet import ffdnet_shaped
from benchmarks.graph import graph_cost, remembered_places
from train.digit_networks import ConvAutoencoder, DenseAutoencoder
from train.models import macs, parameter_count

CLEAN = np.full((32, 48, 3), 0.5, np.float32)


def test_the_yardstick_has_the_work_of_ffdnet() -> None:
    macs, parameters = graph_cost(ffdnet_shaped(), 64, 96)
    assert macs / (64 * 96) == pytest.approx(213_000, rel=0.01)
    assert parameters == 15 * 96 * 9 + 10 * 96 * 96 * 9 + 96 * 12 * 9 + 11 * 96 + 12


def test_the_yardstick_runs_and_its_values_stay_in_bounds() -> None:
    batch = np.random.default_rng(0).random((1, 3, 32, 48), np.float32)
    with pytest.warns(UserWarning, match="does not state"):
        AEInfer.load(ffdnet_shaped())
    output = Session(ffdnet_shaped(), "shape", device="cpu", threads=1).run(batch)
    assert output.shape == batch.shape
    assert 0.1 < output.std() < 10


def test_both_precisions_of_a_model_cost_about_the_same_work() -> None:
    """Not all that is merged in fp32 can be where it is rounded between."""
    costs = {method: graph_cost(path.read_bytes(), 64, 64) for method, path in packaged.color_models().items()}
    assert costs
    for method, cost in costs.items():
        assert cost == pytest.approx(costs[method.replace("int8", "fp32")], rel=0.1)


def test_cost_and_remembered_places_are_those_of_the_layers() -> None:
    networks = {
        "mnist-dense": (DenseAutoencoder(), 0),
        "conv-transposed": (ConvAutoencoder("transposed"), 0),
        "conv-unpool-max": (ConvAutoencoder("unpool-max"), 128 * 14**2 + 64 * 7**2 + 16 * 4**2 + 16 * 2**2),
    }
    for name, (network, places) in networks.items():
        content = packaged.digit_models()[f"{name} fp32"].read_bytes()
        assert graph_cost(content, 28, 28) == (macs(network, 28, 28), parameter_count(network))
        assert remembered_places(content, 28, 28) == places


def test_noise_is_that_of_the_protocol() -> None:
    drawn = np.random.default_rng([250, 3]).standard_normal(CLEAN.shape).astype(np.float32)
    image = noisy.noisy_image(CLEAN, 25, 3)
    np.testing.assert_array_equal(image, CLEAN + drawn * np.float32(25 / 255))
    assert (image != noisy.noisy_image(CLEAN, 25, 4)).any()
    levels = noisy.noisy_image(CLEAN, 25, 3, "8-bit") * 255
    np.testing.assert_allclose(levels, np.rint(np.clip(image, 0, 1) * 255), atol=1e-3)


def test_an_image_keeps_its_noise_when_only_some_are_measured(tmp_path: Path) -> None:
    for name in "abcde":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((16, 16, 3), ord(name), np.uint8))
    some = noisy.read_set(tmp_path, every=2)
    assert [index for index, _ in some] == [0, 2, 4]
    assert [round(float(image[0, 0, 0] * 255)) for _, image in some] == [ord(name) for name in "ace"]


def test_rows_hold_means_and_worst_of_what_the_images_score() -> None:
    def half(image: noisy.Image, _sigma: float) -> noisy.Image:
        return (image + CLEAN) / 2

    row = bench_quality.measure_noise(half, [(0, CLEAN), (1, CLEAN)], 25, "float")
    assert row["images"] == 2
    assert row["psnr"] == pytest.approx(20 * np.log10(2 * 255 / 25), abs=0.2)
    grey = noisy.rounded(CLEAN)
    clean = bench_quality.measure_clean(lambda image, _: image + np.float32(2.9 / 255), [(0, grey)])
    assert clean == {"images": 1, "psnr": 38.59, "worst": 38.59}  # three levels: what is written is rounded
    pairs = [(noisy.noisy_image(CLEAN, 10, i), CLEAN) for i in range(4)]
    real = bench_quality.measure_real(half, pairs)
    assert real["images"] == 4
    assert real["worst_gain"] == pytest.approx(6.02, abs=0.02)


def test_a_grey_set_has_results_of_its_own_and_is_for_models_alone() -> None:
    images = {"cbsd68": [(0, CLEAN)], "bsd68": [(0, CLEAN[..., 0])]}
    peer = peers.Peer(lambda image, _sigma: image)
    assert {name for name, _row in bench_quality.measurements(peer, images, None)} == {"quality"}
    rows = list(bench_quality.measurements(lambda image, _sigma: image, images, None))
    assert {(name, row["set"]) for name, row in rows} == {("quality", "cbsd68"), ("grey", "bsd68")}
    float_25 = [row for name, row in rows if name == "grey" and (row["input"], row["sigma"]) == ("float", 25)]
    assert [row["psnr"] for row in float_25] == [pytest.approx(20 * np.log10(255 / 25), abs=0.3)]
    assert {row["sigma"] for _name, row in bench_quality.measurements(peer, images, None, [75])} == {75}


@pytest.mark.parametrize("name", [name for name in peers.PEERS if name.startswith("OpenCV")])
def test_opencv_peers_keep_the_shape_and_remove_noise(name: str) -> None:
    image = noisy.noisy_image(CLEAN, 25, 0, "8-bit")
    denoised = peers.PEERS[name](image, 25)
    assert (denoised.shape, denoised.dtype) == (image.shape, np.float32)
    assert np.abs(denoised - CLEAN).mean() < np.abs(image - CLEAN).mean() / 2


def test_settings_of_the_peers_lie_on_their_grids() -> None:
    for peer in peers.PEERS.values():
        assert len(peer.settings) == len(noisy.SIGMAS)
        for settings in peer.settings:
            assert set(settings) == set(peer.grid)
            assert all(value in peer.grid[key] for key, value in settings.items())


def test_tuning_takes_the_best_of_the_grid() -> None:
    peer = peers.Peer(lambda image, _sigma, share: share * CLEAN + (1 - share) * image, grid={"share": (0.2, 0.9)})
    psnr, settings = peers.tune(peer, [CLEAN], 25)
    assert settings == {"share": 0.9}
    assert psnr > 35


def test_missing_test_sets_are_named(tmp_path: Path, complaint: Callable[..., str]) -> None:
    assert "no cbsd68, kodak24 in" in complaint(bench_quality.main, "--data", tmp_path)


def test_fingerprints_are_those_that_info_shows() -> None:
    for path in packaged.color_models().values():
        assert fingerprint_of(path.read_bytes()) == AEInfer.load(path).info.fingerprint


def test_the_packaged_files_are_the_measured_ones() -> None:
    assert not table.stale_results(), "run the benchmark of each file named: benchmarks/README.md"
