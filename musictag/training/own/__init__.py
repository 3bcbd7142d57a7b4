"""A listener's own words, learned from the files that have them."""
