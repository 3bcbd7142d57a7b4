"""From a file to 29-second segments of mono 16 kHz samples."""
