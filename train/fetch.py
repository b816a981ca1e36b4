"""Downloads MNIST or Fashion-MNIST into a folder of IDX files: the only room with a network, and it parses no digits.

    python -m train.fetch mnist --to data/mnist
    python -m train.fetch fashion-mnist --to data/fashion --from https://mirror.example/fashion/

MNIST is by LeCun, Cortes and Burges (CC BY-SA 3.0), Fashion-MNIST by Zalando SE (MIT).
"""

import argparse
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aeinfer.atomic import write_whole
from aeinfer.errors import InputError
from train import idx

__all__ = ["MIRRORS", "FetchError", "fetch", "main"]

MIRRORS: Final[dict[str, tuple[str, ...]]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
}
_TIMEOUT_S: Final = 30.0


class FetchError(Exception):
    """A file could not be had from any mirror; the message lists what each one answered."""


def fetch(dataset: str, folder: Path, mirrors: Sequence[str] | None = None) -> list[Path]:
    """Bring the four files of a set into `folder`; files that are already there and genuine are kept.

    Parameters
    ----------
    dataset
        A name in `MIRRORS`.
    folder
        Made if absent. A file appears in it whole and verified, or not at all.
    mirrors
        Addresses to try in order; `MIRRORS` when None.

    Returns
    -------
    The files that were downloaded; empty if all were there.

    Raises
    ------
    FetchError
        No mirror gave the genuine content, or the folder holds another set or cannot be written.

    Examples
    --------
    >>> fetch("mnist", Path("data/mnist"))  # doctest: +SKIP
    """
    urls = MIRRORS[dataset] if mirrors is None else mirrors
    fetched = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in idx.KNOWN_SHA256[dataset]:
            if _is_there(dataset, folder, name):
                _say(f"{name}: already there")
                continue
            content, url = _download_verified(dataset, name, urls)
            target = folder / f"{name}.gz"
            write_whole(target, content)
            _say(f"{target} <- {url}")
            fetched.append(target)
    except OSError as error:
        raise FetchError(f"{folder}: cannot be written ({error}); choose another folder with --to") from error
    return fetched


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 when something could not be fetched, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m train.fetch", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("dataset", choices=sorted(MIRRORS))
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the four files go")
    parser.add_argument("--from", dest="mirror", metavar="URL", help="use this address instead of the known mirrors")
    args = parser.parse_args(argv)
    if args.mirror is not None and "://" not in args.mirror:
        parser.error(f"--from expects an address such as https://mirror.example/mnist/, not {args.mirror!r}")
    try:
        fetch(args.dataset, args.to, None if args.mirror is None else [args.mirror])
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the files that are there are whole, run the command again for the rest", file=sys.stderr)
        return 130
    print(f"{args.dataset} is complete in {args.to}")
    return 0


def _is_there(dataset: str, folder: Path, name: str) -> bool:
    """Tell whether the genuine file is in the folder; a damaged one counts as absent, another set's is refused."""
    path = idx.find_idx(folder, name)
    if path is None:
        return False
    try:
        found = idx.name_known_set(name, idx.read_unpacked(path))
    except InputError:
        return False
    if found not in (None, dataset):
        raise FetchError(f"{folder} already holds {found}; choose another folder for {dataset} with --to")
    return found == dataset


def _download_verified(dataset: str, name: str, urls: Sequence[str]) -> tuple[bytes, str]:
    failures = []
    for base in urls:
        url = f"{base.rstrip('/')}/{name}.gz"
        try:
            content = _download(url)
            if idx.name_known_set(name, idx.unpack(content, url)) == dataset:
                return content, url
            failures.append(f"{url}: {len(content)} bytes came, but not the genuine content (checksum differs)")
        except InputError as error:
            failures.append(str(error))
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"{url}: {error or type(error).__name__}")
        _say(failures[-1])
    tried = "\n  ".join(failures)
    raise FetchError(
        f"no genuine {name}.gz to be had:\n  {tried}\n"
        "check the connection, or name another mirror with --from; files fetched so far are kept"
    )


def _download(url: str) -> bytes:
    """Return the body; one shorter than the server announced is an IncompleteRead, not a short result."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as error:
        error.close()
        raise


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
