"""Whether the packaged models are the files that were packaged, and give the results that they gave then; runs none.

`models/record.json` holds for each file its sha256 and size, and for those that denoise photographs what
`selftest.denoise_sample` returned when they were packaged. `scripts/record_models.py` writes it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aeinfer import models
from aeinfer.doctor.finding import Finding
from aeinfer.doctor.process import Ended

__all__ = ["AGAIN", "RECORD", "check_files", "file_facts", "judge_result", "read_record"]

RECORD = Path(models.__file__).with_name("record.json")
AGAIN = "pip install --force-reinstall --no-deps aeinfer"
GAIN_DB = 0.2  # other processors round otherwise; what saturates or is exchanged loses decibels
MEAN_LEVELS = 1.0  # 8-bit levels

Record = Mapping[str, Mapping[str, Any]]


def read_record() -> dict[str, dict[str, Any]]:
    """Return what was recorded of each packaged file: its name -> sha256, bytes, and gain and means where tested.

    Raises
    ------
    OSError, ValueError
        There is no such record, or it is damaged.
    """
    record: dict[str, dict[str, Any]] = json.loads(RECORD.read_text("utf-8"))
    return record


def file_facts(content: bytes) -> dict[str, Any]:
    """Return what the record holds of any file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def check_files(record: Record) -> tuple[list[Finding], set[str]]:
    """Return one finding for all files that are whole and one for each other, and the names of those that are whole."""
    faults = {name: fault for name, facts in record.items() if (fault := _fault(name, facts))}
    whole = set(record) - set(faults)
    if not whole:
        none = Finding("models", "failure", f"none is whole in {RECORD.parent}", AGAIN, "model")
        return [none, *faults.values()], whole
    megabytes = sum(record[name]["bytes"] for name in whole) / 1e6
    told = f"{len(whole)} of {len(record)} files as they were packaged, {megabytes:.1f} MB in {RECORD.parent}"
    return [Finding("models", "ok", told), *faults.values()], whole


def _fault(name: str, facts: Mapping[str, Any]) -> Finding | None:
    """Say what is wrong with a file; nothing if it is the one that was packaged."""
    mend = AGAIN
    try:
        content = RECORD.with_name(name).read_bytes()
    except OSError as error:
        return Finding(name, "failure", f"cannot be read: {error.strerror}", mend, "model")
    found = file_facts(content)
    if found == {key: facts[key] for key in found}:
        return None
    if content.startswith(b"version https://git-lfs"):
        told, mend = "is a Git LFS pointer, not the model itself", "git lfs pull"
    elif found["bytes"] < facts["bytes"]:
        told = f"is cut: {found['bytes']:,} of {facts['bytes']:,} bytes"
    else:
        told = f"is another file than was packaged: its sha256 begins with {found['sha256'][:16]}"
    return Finding(name, "failure", told, mend, "model")


def judge_result(name: str, facts: Mapping[str, Any], ended: Ended) -> Finding:
    """Compare a result with the recorded one of that file."""
    title = f"result {name.removesuffix('.onnx')}"
    if ended.fault:
        told = f"does not run: {ended.why}"
        if ended.fault.startswith("ModelError"):
            return Finding(title, "failure", told, AGAIN, "model")
        return Finding(title, "failure", told, "pip install --upgrade onnxruntime numpy", "backend")
    gain, provider = ended.value["gain"], ended.value["provider"]
    off = max(abs(mean - other) for mean, other in zip(ended.value["means"], facts["means"], strict=True))
    told = f"{gain:+.2f} dB, recorded {facts['gain']:+.2f}; means differ by {off:.2f} levels ({provider})"
    if abs(gain - facts["gain"]) <= GAIN_DB and off <= MEAN_LEVELS:
        return Finding(title, "ok", told)
    return Finding(title, "failure", f"is wrong: {told}", "pip install --upgrade --force-reinstall onnxruntime numpy")
