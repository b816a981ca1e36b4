"""The curve of a run as CSV, a line an epoch, beside TensorBoard's log of the same figures."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from aeinfer.atomic import write_whole


class Curve:
    """curve.csv: lines after `step`, of a run that broke off and is gone on with from there, are dropped."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows: list[Mapping[str, str | float]] = []
        if step and path.is_file():
            found = list(csv.DictReader(path.read_text(errors="replace").splitlines(), quoting=csv.QUOTE_NONE))
            whole = [row for row in found if _is_whole(row)]
            if not whole or len(whole) < len(found):
                print(f"{path} is damaged: {len(whole)} of its lines can be read, and are kept")
            self.rows = [row for row in whole if int(row["step"]) <= step]

    def add(self, row: Mapping[str, float]) -> None:
        """Append a line; the file is the old one or the new one at every moment."""
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, row.keys(), extrasaction="ignore")  # a damaged name of a column
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.path, text.getvalue().encode())


def _is_whole(row: Mapping[str, str]) -> bool:
    """Whether it holds a step, and a number in every other column, or nothing: what was not measured yet."""
    try:
        numbers = [float(cell) for cell in row.values() if cell != ""]
        return int(row["step"]) > 0 and len(numbers) > 1
    except (KeyError, TypeError, ValueError):
        return False
