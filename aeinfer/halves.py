"""The encoder and the decoder that lie beside a model's file: images of the window's size to codes, and back."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels
from aeinfer.arrays import as_hwc, check_batch, check_finite
from aeinfer.errors import InputError, ModelError
from aeinfer.forking import Lock
from aeinfer.model_bytes import read_model
from aeinfer.model_file import ModelFile
from aeinfer.model_info import ModelInfo
from aeinfer.models import half_file
from aeinfer.session import Session
from aeinfer.settings import Settings

__all__ = ["Halves"]

Image = NDArray[Any]
Tensor = NDArray[np.float32]


class Halves:
    """The sessions of a model's halves, each started when it is first asked for; safe to use from many threads."""

    def __init__(self, file: ModelFile, settings: Settings, info: ModelInfo) -> None:
        self._file, self._settings, self._info = file, settings, info
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()

    def encode(self, images: Sequence[Image] | Image, at_once: int) -> Tensor:
        """Return the codes of images as `AEInfer.encode` takes them, so many in a run of the network."""
        encoder, side, channels = self._session("encoder"), self._info.tile or 0, self._info.channels
        if isinstance(images, np.ndarray):
            check_batch(images)
        views = [as_hwc(image) for image in images]
        wrong = {view.shape for view in views if view.shape != (side, side, channels)}
        if wrong or not views:
            got = f"one of shape {min(wrong)}" if wrong else "no image"
            raise InputError(f"expected images of {side}x{side} with {channels} channel(s), got {got}")
        codes: list[Tensor] = []
        for part in _parts(views, at_once):
            for view in part:
                check_finite(view)
            colors = self._settings.channel_order
            batch = [kernels.to_float(view[..., colors]).transpose(2, 0, 1) for view in part]
            codes.append(encoder.run(np.stack(batch)))
        return np.concatenate(codes)

    def decode(self, codes: Tensor, at_once: int) -> Tensor:
        """Return the images of codes as `AEInfer.decode` does, so many in a run of the network."""
        decoder, channels = self._session("decoder"), self._info.channels
        codes = np.asarray(codes)
        expected = decoder.input_shape[1:]
        if codes.dtype != np.float32 or list(codes.shape[1:]) != expected:
            axes = ", ".join(map(str, ["N", *expected]))
            raise InputError(f"expected float32 codes ({axes}), got {codes.dtype} of shape {codes.shape}")
        if not len(codes):
            raise InputError("expected codes of at least one image, got none")
        check_finite(codes, "array of codes")
        images = np.concatenate([decoder.run(np.ascontiguousarray(part)) for part in _parts(codes, at_once)])
        if channels == 1:
            return images[:, 0]
        return images.transpose(0, 2, 3, 1)[..., self._settings.channel_order]

    def _session(self, half: str) -> Session:
        """Return the session of the "encoder" or the "decoder".

        Raises
        ------
        ModelError
            There is no such file, or it is not a model.
        """
        with self._lock:
            if half not in self._sessions:
                self._sessions[half] = self._start(half)
            return self._sessions[half]

    def close(self) -> None:
        """Free the sessions; what is asked for later is started anew."""
        self._sessions.clear()

    def _start(self, half: str) -> Session:
        path = self._file.path and half_file(self._file.path, half)
        if path is None or not path.is_file():
            raise ModelError(
                f"{self._file.name} has no {half}: expected {path or 'a file'} beside it; "
                "dense and conv models are exported with their halves"
            )
        wanted = self._settings
        options, spinning = wanted.session_options, wanted.spinning
        return Session(read_model(path), str(path), wanted.device, wanted.threads, options, spinning=spinning)


def _parts(items: Sequence[Any] | Image, at_once: int) -> Iterator[Any]:
    return (items[start : start + at_once] for start in range(0, len(items), at_once))
