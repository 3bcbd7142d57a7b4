"""From coefficients to logits: the networks."""
