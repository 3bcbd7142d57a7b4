"""From an audio file to 29-second segments of mono 16 kHz samples.

`track.Track` decodes in this process, `decoder.Decoder` in one of its own.
"""
