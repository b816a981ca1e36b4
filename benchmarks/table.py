"""Write the measured tables into README.md and the model cards: `python -m benchmarks.table`; `--check` only compares.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; everything in it comes from results/*.json.
"""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import results

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "aeinfer" / "models").glob("*.md")))
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(name: str) -> str:
    facts = dict(results.load(name)["machine"])
    cpu = facts.pop("cpu")
    return f"\n\nMeasured on {cpu}; " + ", ".join(f"{key} {value}" for key, value in facts.items()) + "."


def quality() -> str:
    """PSNR by method and set, sigma 15 / 25 / 50, with the speed beside it."""
    rows = results.load("quality")["rows"]
    speed = {row["method"]: row for row in results.load("speed")["rows"]}
    columns = list(dict.fromkeys((row["set"], row["input"]) for row in rows))
    cells: dict[str, dict[tuple[str, str], list[str]]] = {}
    for row in rows:
        figures = cells.setdefault(row["method"], {}).setdefault((row["set"], row["input"]), [])
        figures.append(f"{row['psnr']:.2f}")
    header = [
        "PSNR in dB, sigma 15 / 25 / 50",
        *(f"{name}, {shown} input" for name, shown in columns),
        "MPix/s, 1 / 2 threads",
    ]
    body = []
    for method, figures in cells.items():
        pair = [speed.get(key) for key in (f"{method}, 1 thread(s)", f"{method}, 2 thread(s)")]
        alone = speed.get(method)
        rate = " / ".join(f"{row['mpix_per_s']:.2f}" for row in pair if row) or (
            f"{alone['mpix_per_s']:.2f}" if alone else ""
        )
        body.append([method, *(" / ".join(figures.get(column, [])) for column in columns), rate])
    count = {row["set"]: row["images"] for row in rows}
    sets = " and ".join(f"{name} ({images} images)" for name, images in count.items())
    told = "non-local means is told sigma, the models are not"
    return markdown(header, body) + f"\n\nMean over {sets}; {told}." + machine("speed")


def digits() -> str:
    rows = results.load("digits")["rows"]
    inputs = list(dict.fromkeys(row["input"] for row in rows))
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        cells.setdefault(row["method"], {})[row["input"]] = f"{row['psnr']:.2f}"
    body = [[method, *(figures.get(shown, "") for shown in inputs)] for method, figures in cells.items()]
    return markdown(["PSNR in dB, 10,000 test digits", *inputs], body) + machine("digits")


def memory() -> str:
    rows = results.load("memory")["rows"]
    body = [[row["command"], str(row["peak_mb"]), str(row["seconds"])] for row in rows]
    return markdown(["one 6000x4000 JPEG to PNG", "peak of the process, MB", "seconds"], body) + machine("memory")


TABLES: dict[str, Callable[[], str]] = {"quality": quality, "digits": digits, "memory": memory}


def rewritten(text: str) -> str:
    """Return a page's text with its tables made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not up to date")
    args = parser.parse_args()
    stale = [path for path in PAGES if rewritten(path.read_text()) != path.read_text()]
    for path in stale:
        print(f"{path.name}: {'not up to date' if args.check else 'written'}")
        if not args.check:
            path.write_text(rewritten(path.read_text()))
    return 1 if stale and args.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
