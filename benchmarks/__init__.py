"""Measurements: quality and speed of the packaged models, kept as JSON in results/ and shown by table.py."""
