"""Spectrograms as front ends: bands spaced as on the mel scale, and the constant-Q transform.

They are what other networks for music listen to, and what the scattering transform is compared
with. `mel` and `cqt` say what they are, `torch` computes them on any device.
"""
