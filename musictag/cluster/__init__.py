"""Hearing on other machines."""
