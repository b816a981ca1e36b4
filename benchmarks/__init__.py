"""Measurements: quality and speed of the packaged models, kept as JSON in results/ and shown by table.py."""

import os

# what `aeinfer bench` remembers here would choose the file that is measured, its tiles and its threads
os.environ["AEINFER_CACHE"] = os.devnull
