"""Attributes of ASF, as Windows Media has them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO
from uuid import UUID

import mutagen.asf

from musictag.metadata.family import FIELDS, KEYS, Family, Snapshot, digest_of, read_at, size_of

_asf: Any = mutagen.asf  # half typed, see id3.py


class ASF(Family):
    """Attributes of an ASF header, by name; several of one name for several values."""

    name = "ASF"

    def _entries(self, file: BinaryIO) -> list[tuple[str | None, Any]]:  # noqa: ARG002
        """Our attributes as bytes, the others as mutagen has them."""
        fields = [(self._field(name), name, value) for name, value in self.file.tags]
        return [
            (field, (name, value) if field is None else self._record(name, value))
            for field, name, value in fields
        ]

    @staticmethod
    def _field(name: str) -> str | None:
        return next((of for of in FIELDS if KEYS["ASF"][of].upper() == name.upper()), None)

    @staticmethod
    def _record(name: str, value: Any) -> bytes:
        """As in the metadata library, after a byte that says if language and stream are given."""
        given = (value.language is not None) | (value.stream is not None) << 1
        return bytes([given]) + bytes(value.render_ml(name))

    @staticmethod
    def _attribute(record: bytes) -> tuple[str, Any]:
        language, stream, length, kind, _ = struct.unpack_from("<HHHHI", record, 1)
        name = record[13 : 13 + length].decode("utf-16-le").rstrip("\0")
        data = record[13 + length :]
        value: Any = data
        if kind == mutagen.asf.UNICODE:
            value = data.decode("utf-16-le").rstrip("\0")
        elif kind in (mutagen.asf.BOOL, mutagen.asf.DWORD, mutagen.asf.QWORD, mutagen.asf.WORD):
            value = int.from_bytes(data, "little")
        given = {"language": language} if record[0] & 1 else {}
        given |= {"stream": stream} if record[0] & 2 else {}
        return name, _asf.ASFValue(value, kind, **given)

    @staticmethod
    def texts(snapshot: Snapshot, field: str) -> list[str]:
        values = [ASF._attribute(record)[1].value for record in snapshot.raw(field)]
        return [value for value in values if isinstance(value, str)]

    def _rendered(self, field: str, values: tuple[str, ...]) -> list[bytes]:
        first, *more = values  # one of a name where all players look, the others in the library
        attributes = [_asf.ASFValue(first, mutagen.asf.UNICODE)]
        attributes += [
            _asf.ASFValue(value, mutagen.asf.UNICODE, language=0, stream=0) for value in more
        ]
        return [self._record(KEYS["ASF"][field], attribute) for attribute in attributes]

    def _save(self) -> None:
        self.file.tags[:] = [
            entry if field is None else self._attribute(entry) for field, entry in self.entries
        ]
        self.file.save(self.path, padding=self.padding)

    def _rest(self, file: BinaryIO) -> Any:
        ours = {KEYS["ASF"][field].upper() for field in FIELDS}
        others = [
            (name, int(value.TYPE), repr(value.value), value.stream or 0, value.language or 0)
            for name, value in self.file.tags
            if name.upper() not in ours
        ]
        end = int.from_bytes(read_at(file, 16, 8), "little")
        objects = sorted(_asf_objects(file, 30, end))
        return sorted(others), objects, digest_of(file, end, size_of(file))


def _asf_objects(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """GUID and content of the header's objects but for attributes and padding."""
    while start < end:
        guid = read_at(file, start, 16)
        size = int.from_bytes(read_at(file, start + 16, 8), "little")
        if size < 24:
            raise ValueError("an object is shorter than its header")
        if guid == _ASF_EXTENSION:
            yield from _asf_objects(file, start + 46, start + size)
        elif guid not in _ASF_ATTRIBUTES_AND_PADDING:
            yield guid, read_at(file, start + 24, size - 24)
        start += size


_ASF_EXTENSION = UUID("5FBF03B5-A92E-11CF-8EE3-00C00C205365").bytes_le
_ASF_ATTRIBUTES_AND_PADDING = {
    UUID(guid).bytes_le
    for guid in (
        "75B22633-668E-11CF-A6D9-00AA0062CE6C",  # content description
        "D2D0A440-E307-11D2-97F0-00A0C95EA850",  # extended content description
        "C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA",  # metadata
        "44231C94-9498-49D1-A141-1D134E457054",  # metadata library
        "1806D474-CADF-4509-A4BA-9AABCB96AAE8",  # padding
    )
}
