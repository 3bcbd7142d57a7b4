"""musictag listens to a music library and writes what it hears into the files."""

__version__ = "0.1.0"
