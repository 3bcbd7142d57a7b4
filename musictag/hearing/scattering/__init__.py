"""From samples to coefficients: the paper's scattering transform."""
