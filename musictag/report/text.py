"""Words and numbers as people read them, safe for any terminal."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """Text with escapes in place of what could steer a terminal.

    That is control and format characters (marks that turn the direction of text among them), bytes
    that are not UTF-8 and line separators. The two joiners that some scripts and emoji need stay.
    """
    if text.isprintable():
        return text
    return "".join(character if _shows(character) else _escape(character) for character in text)


def _shows(character: str) -> bool:
    if character in "\u200c\u200d":
        return True
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def counted(n: int, word: str) -> str:
    """A number and its noun: 1 track, 1,000 tracks."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def time_text(seconds: float) -> str:
    """A waiting time: 8 s, 2 min 14 s, 3 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def music_text(seconds: float) -> str:
    """An amount of music: 40 s, 12 min, 8.6 hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} hours"


def size_text(n_bytes: int) -> str:
    """The length of a file: 61 kB, 1.2 MB."""
    if n_bytes < 1_000_000:
        return f"{max(1, n_bytes // 1000)} kB"
    return f"{n_bytes / 1e6:,.1f} MB"


def clock_text(seconds: float) -> str:
    """A place in a track: 3:05, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
