"""From outcomes to what people and programs read."""

FORMATS = ("table", "jsonl", "csv", "tsv")
"""Names of the output formats of `scan` and `undo`."""
