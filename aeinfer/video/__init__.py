"""Video files: frames to arrays and back into a file that keeps all else; the only room of PyAV. It denoises nothing.

Examples
--------
>>> reader = VideoReader(Path("noisy.mkv"))  # doctest: +SKIP
>>> with VideoWriter.open(Path("clean.mkv"), reader) as writer:  # doctest: +SKIP
...     for picture in ae.stream(writer.pictures(reader), pixels=lambda picture: picture.pixels):
...         writer.write(picture)
"""

from aeinfer.errors import BackendMissingError

try:
    import av as _av  # noqa: F401 (the modules beside this one find it imported)
except ImportError as error:
    raise BackendMissingError(
        f'video files need PyAV, which does not import ({error}); install it with: pip install "aeinfer[video]"'
    ) from error

from aeinfer.video.encoding import CODECS, Encoding
from aeinfer.video.pixels import VideoPicture
from aeinfer.video.reader import VideoReader
from aeinfer.video.writer import VideoWriter

__all__ = ["CODECS", "Encoding", "VideoPicture", "VideoReader", "VideoWriter"]
