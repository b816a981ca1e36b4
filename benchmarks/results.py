"""The measured figures as JSON files in results/, each with the machine and the versions it was measured with."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def machine() -> dict[str, str]:
    """Name the machine by what matters for speed, and the versions of what ran."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = f"{models[0]}, {len(models)} cores" if models else cpu
    return {"cpu": cpu, **{name: version(name) for name in ("aeinfer", "onnxruntime", "numpy")}}


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """Write results/NAME.json, and print the rows."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    for row in rows:
        print("  ".join(f"{key}: {value}" for key, value in row.items()))


def load(name: str) -> dict[str, Any]:
    """Return what `save` wrote."""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return loaded
