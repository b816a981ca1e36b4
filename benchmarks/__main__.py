"""Every goal of the runtime, measured in one run: `python -m benchmarks`; the rows go into results/goals.json.

The exit code is 0 whether the goals hold or not: a timing says something about a machine, not about a change alone.
"""

import argparse
import importlib
import time

from benchmarks import results

MEASURED_BY = ("kernels", "session", "denoise", "import", "folder", "scaling")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MEASURED_BY, default=MEASURED_BY, help="saves nothing")
    args = parser.parse_args()
    began = time.perf_counter()
    rows = []
    for name in args.only:
        for row in importlib.import_module(f"benchmarks.bench_{name}").goals():
            rows.append({"room": name, **row})
            results.show(rows[-1])
    short = sum(not row["holds"] for row in rows)
    print(f"{len(rows) - short} of {len(rows)} goals hold, {short} fall short ({time.perf_counter() - began:.0f} s)")
    if args.only == MEASURED_BY:
        results.write("goals", rows)


if __name__ == "__main__":
    main()
