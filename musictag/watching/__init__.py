"""Folders that are watched: what is new in them, and when it is ready to be heard.

Events only wake the watch. What counts is whether a file differs from what it was when it was last
dealt with, so events that are lost, doubled or our own do no harm, and a clock can stand for them.
"""
