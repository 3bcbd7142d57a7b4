"""The atoms of an MP4 or QuickTime file, and what else in it follows when some of them grow."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import IO, BinaryIO

from musictag.formats.mp4 import Atom, atoms
from musictag.formats.reading import read_at, size_of
from musictag.metadata.edits import Edit


def children(file: IO[bytes], atom: Atom) -> list[Atom]:
    """What is inside, in QuickTime's `meta` without version and flags too."""
    start = atom.inside
    if atom.name == b"meta" and read_at(file, start + 4, 4) not in _IN_META:
        start += 4
    found = list(atoms(file, start, min(atom.end, size_of(file))))
    if found and found[-1].end > atom.end:
        raise ValueError("an atom ends after the one that it is in")
    return found


_IN_META = (b"hdlr", b"keys", b"ilst", b"free")


def child(file: IO[bytes], parent: Atom, name: bytes) -> Atom | None:
    return next((atom for atom in children(file, parent) if atom.name == name), None)


def handler(file: IO[bytes], meta: Atom) -> bytes:
    """Of what kind a `meta` is: mdir is iTunes' list, mdta a list with keys of any name."""
    found = child(file, meta, b"hdlr")
    return read_at(file, found.inside + 8, 4) if found else b"mdir"


def rendered(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), name) + data


# ---------------------------------------------------------------- what follows


def following(file: BinaryIO, changes: Sequence[Edit], owner: Atom | None = None) -> list[Edit]:
    """Lengths of the atoms around these changes, and tables of places behind them.

    What is inserted where several atoms end belongs into `owner`.
    """
    edits: list[Edit] = []
    for atom in atoms(file, 0, size_of(file)):
        if atom.name == b"moov":
            edits += _lengths(file, atom, changes, owner)
            edits += _places(file, atom, changes)
    return edits


def _lengths(file: BinaryIO, atom: Atom, changes: Sequence[Edit], owner: Atom | None) -> list[Edit]:
    inside = [edit for edit in changes if _is_in(edit, atom, owner)]
    growth = sum(edit.growth for edit in inside)
    edits = []
    for one in children(file, atom) if inside and atom.name in _PARENTS else ():
        edits += _lengths(file, one, inside, owner)
    stated = int.from_bytes(read_at(file, atom.start, 4), "big")
    if growth and stated == 1:
        size = struct.pack(">Q", atom.end - atom.start + growth)
        edits.append(Edit(atom.start + 8, atom.start + 16, [size]))
    elif growth and stated:
        size = struct.pack(">I", stated + growth)
        edits.append(Edit(atom.start, atom.start + 4, [size]))
    return edits


def _is_in(edit: Edit, atom: Atom, owner: Atom | None) -> bool:
    if edit.start == edit.end == atom.end:
        return owner is not None and atom.start <= owner.start
    return atom.inside <= edit.start and edit.end <= atom.end


_PARENTS = (b"moov", b"udta", b"meta", b"ilst")
TABLES = (b"trak", b"mdia", b"minf", b"stbl")
"""Atoms on the way to tables of places."""


def _places(file: BinaryIO, atom: Atom, changes: Sequence[Edit]) -> list[Edit]:
    edits = []
    for one in children(file, atom):
        if one.name in TABLES:
            edits += _places(file, one, changes)
        elif one.name in (b"stco", b"co64"):
            letter, width = ("I", 4) if one.name == b"stco" else ("Q", 8)
            (n,) = struct.unpack(">I", read_at(file, one.inside + 4, 4))
            layout = f">{n}{letter}"
            data = read_at(file, one.inside + 8, n * width)
            places = struct.unpack(layout, data)
            moved = [place + _growth_before(place, changes) for place in places]
            edits.append(Edit(one.inside + 8, one.inside + 8 + n * width, [_packed(layout, moved)]))
    return edits


def _growth_before(place: int, changes: Sequence[Edit]) -> int:
    return sum(edit.growth for edit in changes if edit.start < place)


def _packed(layout: str, numbers: list[int]) -> bytes:
    return struct.pack(layout, *numbers)


def says_where_it_is(file: BinaryIO, fragment: Atom) -> bool:
    """Whether a fragment counts places from the file's beginning and not from its own."""
    for atom in children(file, fragment):
        if atom.name == b"traf" and says_where_it_is(file, atom):
            return True
        if atom.name == b"tfhd" and int.from_bytes(read_at(file, atom.inside, 4), "big") & 1:
            return True
    return False
