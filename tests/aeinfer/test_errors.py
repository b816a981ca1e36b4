"""The tree of errors, as callers catch them."""

import pytest

import aeinfer

KINDS = {
    "BackendMissingError": ImportError,
    "ProviderUnavailableError": RuntimeError,
    "ModelError": ValueError,
    "InputError": ValueError,
    "ImageReadError": OSError,
    "ImageWriteError": OSError,
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_every_error_is_aeinfers_and_of_pythons_own_kind(name: str, kind: type[Exception]) -> None:
    error = getattr(aeinfer, name)
    assert error.__bases__ == (aeinfer.AEInferError, kind)
    assert str(error("a sentence")) == "a sentence"


def test_there_are_no_others() -> None:
    errors = {name for name in aeinfer.__all__ if name.endswith("Error")}
    assert errors == KINDS.keys() | {"AEInferError"}
