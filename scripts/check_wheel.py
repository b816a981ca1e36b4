"""Looks into a built wheel: aeinfer with its models is in it, whole, and nothing else; it builds nothing itself.

python scripts/check_wheel.py dist/aeinfer-0.1.0-py3-none-any.whl
"""

import argparse
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS_LIMIT = 25_000_000  # bytes of all packaged models together


def expected_files(root: Path) -> set[str]:
    """Names of all that the wheel should hold of the checkout: code, typing marker, models, cards and record."""
    package = root / "aeinfer"
    models = package / "models"
    data = [package / "py.typed", models / "record.json", *models.glob("*.onnx"), *models.glob("*.md")]
    found = [*package.rglob("*.py"), *data]
    return {path.relative_to(root).as_posix() for path in found}


def find_faults(wheel: Path, root: Path) -> list[str]:
    """Return one line for each difference between the wheel and what the checkout promises."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.is_dir()}
    facts = {name.partition("/")[2] for name in sizes if name.split("/")[0].endswith(".dist-info")}
    held = {name for name in sizes if not name.split("/")[0].endswith(".dist-info")}
    expected = expected_files(root)
    faults = [f"{name}: is in the checkout, not in the wheel" for name in sorted(expected - held)]
    faults += [f"{name}: does not belong into the wheel" for name in sorted(held - expected)]
    faults += [f"{name}: missing in the dist-info" for name in ("METADATA", "entry_points.txt") if name not in facts]
    if not any(name.endswith("LICENSE") for name in facts):
        faults.append("LICENSE: missing in the dist-info")
    weight = sum(size for name, size in sizes.items() if name.endswith(".onnx"))
    if weight > MODELS_LIMIT:
        faults.append(f"the models weigh {weight / 1e6:.1f} MB together, more than {MODELS_LIMIT / 1e6:.0f} MB")
    return faults


def main() -> int:
    """Print the faults; return 1 if there are any."""
    parser = argparse.ArgumentParser(description="Check that a wheel holds aeinfer with its models and nothing else.")
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    faults = find_faults(wheel, ROOT)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{wheel.name}: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
