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
            with path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]

    def add(self, row: Mapping[str, float]) -> None:
        """Append a line; the file is the old one or the new one at every moment."""
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, row.keys())
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.path, text.getvalue().encode())
