"""The encoder and the decoder that lie beside a model's file."""

from aeinfer.errors import ModelError
from aeinfer.forking import Lock
from aeinfer.model_file import ModelFile
from aeinfer.models import half_file
from aeinfer.session import Session, read_model
from aeinfer.settings import Settings

__all__ = ["Halves"]


class Halves:
    """The sessions of a model's halves, each started when it is first asked for; safe to use from many threads."""

    def __init__(self, file: ModelFile, settings: Settings) -> None:
        self._file, self._settings = file, settings
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()

    def session(self, half: str) -> Session:
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
