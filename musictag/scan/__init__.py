"""All stages for one track, then for many."""
