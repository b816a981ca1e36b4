"""AEInfer: the hall where one image or batch goes plan -> gather -> run -> place, each of them another room's work."""

import functools
import itertools
import logging
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from aeinfer import kernels
from aeinfer.arrays import as_hwc, check_batch, color_channels, output_for, output_like, outputs_for, overlap
from aeinfer.batching import Part, Scratch, TileJob, batch_pixels, batch_shape, fill_batches, gather, place
from aeinfer.errors import InputError
from aeinfer.forking import Lock
from aeinfer.halves import Halves
from aeinfer.limits import Limits
from aeinfer.model_file import ModelFile, find_model
from aeinfer.model_info import ModelInfo
from aeinfer.pair import Pair
from aeinfer.session import Session
from aeinfer.settings import Settings
from aeinfer.splitting import halved, in_bands
from aeinfer.stream import Stats, process
from aeinfer.threads import thread_count

if TYPE_CHECKING:
    from aeinfer.temporal import TemporalFilter

__all__ = ["AEInfer"]

Image = NDArray[Any]
Tensor = NDArray[np.float32]

logger = logging.getLogger("aeinfer")


class AEInfer:
    """A loaded denoiser; call it with an image.

    Safe to use from many threads, which share its own, and picklable: the session is rebuilt in the new process, as it
    is after a fork. Use `AEInfer.load`.

    Attributes
    ----------
    info : ModelInfo
    provider : str
        What really runs, in onnxruntime's words: "CPUExecutionProvider", "CUDAExecutionProvider" ...
    on_gpu : bool
        Whether that is a GPU's.
    stats : Stats
        Images, pixels and seconds so far, and the counters of streams.

    Examples
    --------
    >>> import numpy as np
    >>> with AEInfer.load("photo") as ae:
    ...     clean = ae(np.zeros((48, 64, 3), np.uint8))
    >>> clean.shape, clean.dtype
    ((48, 64, 3), dtype('uint8'))
    """

    def __init__(self, file: ModelFile, settings: Settings) -> None:
        self._file, self._settings = file, settings
        self._lock = Lock()
        tuned, options = file.tuned, settings.session_options
        threads = settings.threads or (min(tuned.threads, thread_count()) if tuned else thread_count())
        start = functools.partial(
            Session, file.content, file.name, fingerprint=file.fingerprint, spinning=settings.spinning
        )
        self._session: Session | None = start(settings.device, threads, options)
        self.info: ModelInfo = self._session.info()
        self.provider: str = self._session.provider
        self.on_gpu: bool = self._session.on_gpu
        self.stats = Stats()
        self._scratch = Scratch()
        self._halves = Halves(file, replace(settings, threads=threads), self.info)
        alone = self.on_gpu or options is not None or settings.spinning  # all threads would spin beside the pair's
        self._pair = Pair(functools.partial(start, "cpu"), 1 if alone else threads)
        self._limits = Limits(
            self.info,
            len(file.content) / 1e6,
            on_gpu=self.on_gpu,
            tile=settings.tile or (tuned.tile if tuned else None),
            batch=self._fixed_batch(self._session),
            batch_pixels=tuned.batch_pixels if tuned else None,
            max_memory_mb=settings.max_memory_mb,
        )

    @classmethod
    def load(
        cls,
        model: str | os.PathLike[str] | bytes,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        tile: int | None = None,
        batch: int | None = None,
        max_memory_mb: float | None = None,
        color: str = "rgb",
        spinning: bool | None = None,
        session_options: Any = None,
    ) -> Self:
        """Load a model.

        Parameters
        ----------
        model : str, os.PathLike or bytes
            The name of a packaged model ("photo"), the path of an .onnx file, or its content.
        device : str
            "auto", "cpu", "cuda", "cuda:N" or "tensorrt". What is named must start; "auto" takes what does.
        precision : str
            "fp32", "int8" or "fp16" takes that sibling of the file (NAME.int8.onnx); "auto" takes another than the file
            itself only where `aeinfer bench` measured it to be faster on this machine.
        threads : int, optional
            Threads of the network; by default what `aeinfer bench` found best, or what affinity, cgroup and environment
            allow.
        tile : int, optional
            Kept side of a tile in pixels; the halo comes on top. By default what `aeinfer bench` found best, or what
            `sizing.default_tile` makes of the model.
        batch : int, optional
            Tiles in one run of the network; by default as many as fill what is best for small ones.
        max_memory_mb : float, optional
            Bound on what the process adds to the caller's own input and output: libraries, network, activations and
            copies; tiles and batches shrink to fit. The libraries alone take some 150 MB, once: of a bound that they
            nearly fill, a third is used beside them. Beyond it goes the copy of an image whose `out` overlaps it
            without being it. By default the network itself takes a third at most of what the machine, and a container
            or service around the process, have left when it is loaded (Linux).
        color : str
            "rgb" or "bgr": the order of the channels of three- and four-channel images.
        spinning : bool, optional
            Whether the network's threads keep their cores while they wait, which is faster where nothing else wants
            them, and slower where something does: True also between runs, which burns a core between the frames of a
            stream; False never. By default within a run of the network and not after it, on ARM never.
        session_options : onnxruntime.SessionOptions, optional
            Used instead of aeinfer's own. Such an instance cannot be pickled.

        Raises
        ------
        ModelError
            No such model, or the file is not a model of images.
        ProviderUnavailableError
            The device asked for by name does not start.
        BackendMissingError
            onnxruntime is not installed.
        InputError
            An option has an impossible value.
        """
        settings = Settings(
            device=device,
            threads=threads,
            tile=tile,
            batch=batch,
            max_memory_mb=max_memory_mb,
            color=color,
            spinning=spinning,
            session_options=session_options,
        )
        return cls(find_model(model, precision, device), settings)

    def denoise(self, image: Image, *, strength: float = 1.0, out: Image | None = None) -> Image:
        """Denoise one image.

        Parameters
        ----------
        image : (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) array
            uint8, uint16, or float32 with [0, 1] nominal. Two channels are grey and alpha, four colour and alpha;
            alpha is passed through untouched. The packaged networks answer within [0, 1]: what is brighter comes back
            as 1 and what is negative as 0, so high dynamic range is brought into it first, by its square root or
            logarithm for example. Values that fill little of the range, such as 12 bits in uint16, are stretched first:
            networks are exact to a part of an 8-bit level, not of a 16-bit one.
        strength : float
            0 gives the input, 1 the full result, between them a blend.
        out : array, optional
            Takes the result: of the same shape and dtype; may be `image` itself, or overlap it.

        Returns
        -------
        array of the same shape and dtype.

        Raises
        ------
        InputError
            The array has another shape or dtype, is empty, masked, not finite or beyond 1e30, or does not fit `out`; or
            strength is not between 0 and 1.
        """
        return self._denoise_all([image], strength, None if out is None else [out])[0]

    __call__ = denoise

    @overload
    def denoise_batch(self, images: Image, *, strength: float = ..., out: Image | None = ...) -> Image: ...

    @overload
    def denoise_batch(
        self, images: Sequence[Image], *, strength: float = ..., out: Sequence[Image] | Image | None = ...
    ) -> list[Image]: ...

    def denoise_batch(
        self, images: Sequence[Image] | Image, *, strength: float = 1.0, out: Sequence[Image] | Image | None = None
    ) -> list[Image] | Image:
        """Denoise many images, of any sizes; small ones and the tiles of large ones share the network's batches.

        Parameters
        ----------
        images : sequence of arrays, or one (N, H, W) or (N, H, W, C) array
            See `denoise`. A three-dimensional array is N grey images.
        strength, out
            As in `denoise`; `out` is an array where `images` is one. An output in a list may be its own image, and must
            not overlap another.

        Returns
        -------
        list of arrays, or one array where one came; shapes and dtypes as they came.

        Raises
        ------
        InputError
            As in `denoise`.
        """
        if not isinstance(images, np.ndarray):
            return self._denoise_all(images, strength, out)
        check_batch(images)
        result = output_like(images, out, "images")
        source = images.copy() if overlap(images, result) else images
        pile, results = _piled(source), _piled(result)
        if pile is None or results is None or self._limits.plan(*source.shape[1:3]).blended:
            self._denoise_all(source, strength, result)
        else:
            as_hwc(source[0])  # or an error would name the pile's shape
            self._denoise_all([pile], strength, [results], count=len(source))
        return result

    def stream(
        self,
        frames: Iterable[Any],
        policy: str = "all",
        *,
        strength: float = 1.0,
        max_latency_ms: float | None = None,
        batch: int = 1,
        out: Iterable[Image] | None = None,
        pixels: Callable[[Any], Image] | None = None,
        timeout: float | None = None,
        temporal: "TemporalFilter | None" = None,
    ) -> Generator[Any]:
        """Denoise frames as they come, in order, while one thread reads ahead and another runs the network.

        Parameters
        ----------
        frames : iterable of arrays
            See `denoise`; strided views are taken as they are. A frame is looked at some frames after it was given: a
            source that fills one buffer again and again gives copies of it.
        policy : str
            "all" delivers every frame; "latest" never makes the source wait, drops what is late and counts it in
            `stats`.
        strength : float
            As in `denoise`.
        max_latency_ms : float, optional
            With "latest", frames that have waited longer than this when their turn comes are dropped as well.
        batch : int
            Frames that share a run of the network where so many wait: faster for small ones, later for each.
        out : iterable of arrays, optional
            Take the results, one for each frame that is not dropped. Of buffers that come round again, by
            `itertools.cycle`, there must be two more than `batch`.
        pixels : callable, optional
            Returns the array of a frame, into which its result is written; frames may then be anything that carries
            one, such as a time and an image, and come out as they went in. `lambda frame: frame` denoises in place.
        timeout : float, optional
            Seconds without a frame after which the source has stalled.
        temporal : TemporalFilter, optional
            Averages over the frames what stands still, before the network, which then has less noise to remove:
            `temporal=TemporalFilter()`, one for each stream. Frames are uint8 or uint16. `strength` blends with what it
            gives.

        Yields
        ------
        array of the same shape and dtype as its frame, or the frame itself where `pixels` is given.

        Raises
        ------
        InputError
            As in `denoise`, or an option has an impossible value.
        ImageReadError
            The source has stalled. Its own errors come as they are, after the frames before them.
        """
        if pixels is not None and out is not None:
            raise InputError("results go where `pixels` says, or into `out`: give one of them")
        outs = None if out is None else iter(out)

        def work(items: list[Any]) -> list[Any]:
            images = items if pixels is None else [pixels(item) for item in items]
            targets = images if pixels is not None else outs and _next_buffers(outs, len(items))
            if temporal is not None:
                images = [temporal(image) for image in images]
                targets = images if targets is None else targets
            results = self._denoise_all(images, strength, targets)
            return results if pixels is None else items

        kernels.load_loops()  # no frame among the first waits for it
        return process(frames, work, self.stats, policy, batch=batch, max_latency_ms=max_latency_ms, timeout=timeout)

    def encode(self, images: Sequence[Image] | Image) -> Tensor:
        """Return the codes of images of the model's window size.

        Parameters
        ----------
        images : sequence of (H, W) or, where the model has colour, (H, W, 3) arrays, or one (N, ...) array of them
            uint8, uint16 or float32.

        Returns
        -------
        (N, ...) float32: the bottleneck's values, as many axes as the model has there.

        Raises
        ------
        ModelError
            The model has no encoder file beside it.
        InputError
            An image has another size than the window, or is what `denoise` refuses.
        """
        self._open_session()
        return self._halves.encode(images, self._at_once)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the images of codes that `encode` gave: (N, H, W) float32 in [0, 1], (N, H, W, 3) for colour models.

        Raises
        ------
        ModelError
            The model has no decoder file beside it.
        InputError
            The codes have another shape or dtype than this model's, or hold NaN, infinity or values beyond 1e30.
        """
        self._open_session()
        return self._halves.decode(codes, self._at_once)

    def warmup(self, shape: tuple[int, ...] = (64, 64, 3), dtype: str = "uint8") -> None:
        """Run once on zeros, so that the first real image pays for no compilation.

        Parameters
        ----------
        shape : tuple of int
            (H, W) or (H, W, C), as that of the images that will come.
        dtype : str
            Theirs: "uint8", "uint16" or "float32".

        Raises
        ------
        InputError
            As in `denoise`.
        """
        kernels.load_loops()
        image = np.zeros(shape, dtype)
        self._run([image], [output_for(image, None)], 1.0)

    def close(self) -> None:
        """Free the network and its memory; a later call raises InputError, one that is at work goes on to its end.

        Closing twice is harmless.
        """
        self._session, self._scratch = None, Scratch()
        self._pair.close()
        self._halves.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._settings.session_options is not None:
            raise InputError("an AEInfer with session_options of its own cannot be pickled: onnxruntime's cannot")
        return (type(self), (self._file, self._settings))

    def __repr__(self) -> str:
        return f"<AEInfer {self.info.name} {self.info.precision} on {self.provider}>"

    def _fixed_batch(self, session: Session) -> int | None:
        """How many tiles one run takes, where it is not as many as fill what is best."""
        if session.input_shape[0] == 1:  # exported without a free batch, as many models of others are
            return 1
        # TensorRT takes memory for the largest batch of the largest tiles
        costly = self.provider == "TensorrtExecutionProvider" and self.info.tile is None
        return self._settings.batch or (1 if costly else None)

    # The way of the images: plan -> gather -> run -> place.

    def _denoise_all(
        self, images: Iterable[Image], strength: float, outs: Iterable[Image] | None, count: int = 1
    ) -> list[Image]:
        """Denoise images, or piles of `count` of one size each."""
        if not (isinstance(strength, Real) and 0 <= strength <= 1):
            raise InputError(f"strength is a number between 0 (the input) and 1 (the full result), got {strength!r}")
        begin, strength = time.perf_counter(), float(strength)  # numba does not know all kinds of numbers
        images = list(images)
        targets: list[Image | None] = [None] * len(images) if outs is None else list(outs)
        if len(targets) != len(images):
            raise InputError(f"{len(targets)} outputs for {len(images)} images: give one for each")
        results = outputs_for(images, targets)
        self._run(images, results, strength, count)
        with self._lock:
            self.stats.images += len(images) * count
            self.stats.pixels += sum(image.shape[0] * image.shape[1] for image in images)
            self.stats.seconds += time.perf_counter() - begin
        return results

    def _run(self, images: list[Image], outs: list[Image], strength: float, count: int = 1) -> None:
        session = self._open_session()
        jobs = (job for image, out in zip(images, outs, strict=True) for job in self._jobs(image, out, count))
        work = functools.partial(self._run_batch, strength=strength)
        try:
            self._pair.run(fill_batches(jobs, self._limits.capacity), work, session, self._fit_beside)
        finally:
            if self._session is None:
                self.close()  # again: it was closed meanwhile, and has taken anew what the rest of the work needed

    def _fit_beside(self, *batches: list[Part]) -> bool:
        """Tell whether batches may be run side by side: sums of blended windows are added up one after the other."""
        blended = any(parts[0].job.plan.blended for parts in batches)
        # the session that runs others keeps memory for one of its own
        pixels = sum(map(batch_pixels, batches)) + max(map(batch_pixels, batches))
        return not blended and pixels <= self._limits.most_pixels

    def _run_batch(self, session: Session, parts: list[Part], strength: float) -> None:
        """Run one batch; where there is too little memory for it, in halves: of the batch, then of its one tile."""
        left, cut = [parts], False
        while left:
            smaller = self._run_or_halve(session, left.pop(), strength)
            left += reversed(smaller)
            cut = cut or bool(smaller)
        if cut and not session.on_gpu:
            session.release_memory()  # who writes the result wants some

    def _run_or_halve(self, session: Session, parts: list[Part], strength: float) -> list[list[Part]]:
        """Run one batch and return nothing, or the halves to run where there is too little memory for it."""
        pixels = batch_pixels(parts)
        if pixels > self._limits.most_pixels and (smaller := halved(parts, self.info)):
            return smaller
        try:
            self._run_whole(session, parts, strength)
            return []
        except MemoryError:
            if not (smaller := halved(parts, self.info)):
                raise
        # out of the handler, whose traceback holds the arrays that were too large
        if not session.on_gpu:
            kernels.stay_with_numpy()
        if self._limits.expect_less_than(pixels):
            logger.info("not enough memory for %d pixels in the network at once: going on in smaller tiles", pixels)
        return smaller

    def _run_whole(self, session: Session, parts: list[Part], strength: float) -> None:
        channels = self.info.channels
        with self._scratch.borrow(batch_shape(parts, channels)) as batch:
            place(parts, session.run(gather(parts, batch)), channels, strength)

    def _open_session(self) -> Session:
        if (session := self._session) is None:
            raise InputError("this AEInfer is closed: load the model again")
        return session

    def _jobs(self, image: Image, out: Image, count: int) -> Iterator[TileJob]:
        """Split an image into what the model takes: its colours together, or channel by channel for a grey model."""
        source, target = as_hwc(image), as_hwc(out)
        colors = color_channels(source)
        source = source.copy() if overlap(source, target) else source
        in_place = np.may_share_memory(source, target)
        plan = self._limits.plan(len(source) // count, source.shape[1], source.itemsize if in_place else 0)
        bands = plan.blended or (in_place and len(plan.positions) > 1)
        plan = plan.repeated(count) if count > 1 else plan
        rows = self._limits.band_rows(plan, source.shape[1])
        target[..., colors:] = source[..., colors:]
        together = colors == 3 and self.info.channels == 3
        for part in [self._settings.channel_order] if together else [slice(c, c + 1) for c in range(colors)]:
            job = TileJob(source[..., part], target[..., part], plan)
            yield from in_bands(job, rows, in_place=in_place) if bands else [job]

    @property
    def _at_once(self) -> int:
        """How many images of the window's size, or their codes, one run of the network takes."""
        return self._limits.capacity(self._limits.plan(1, 1))


def _next_buffers(outs: Iterator[Image], count: int) -> list[Image]:
    buffers = list(itertools.islice(outs, count))
    if len(buffers) < count:
        raise InputError(
            f"{len(buffers)} outputs for {count} images: `out` ended before the frames did; "
            "itertools.cycle(buffers) gives a few again and again"
        )
    return buffers


def _piled(images: Image) -> Image | None:
    """(N, H, W[, C]) -> (N * H, W[, C]), one below the other, without a copy; None where they do not lie so."""
    if not images.size or images.strides[0] != images.shape[1] * images.strides[1]:
        return None
    return images.reshape(-1, *images.shape[2:])
