"""From samples to probabilities: front end, network and the ears that run them."""
