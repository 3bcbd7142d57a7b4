"""Fourier transforms and matrix products: what the executors for one CPU core are written on."""
