"""Fourier transforms and matrix products that the CPU's own layout is written on."""
