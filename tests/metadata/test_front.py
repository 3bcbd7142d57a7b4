"""ID3v2 in front of files that have their own tag elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from containers import id3, text, track

from musictag import metadata
from musictag.errors import MetadataError

FRONT = id3(3, text(3, "TIT2", "MyTitle"), text(3, "TCON", "Polka"))


@pytest.mark.parametrize("container", ["ape", "mpc", "tak", "ofr", "tta", "wavpack"])
def test_it_stays_where_it_is_and_says_the_same(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container, before=FRONT)
    before = path.read_bytes()
    assert metadata.read(path)["GENRE"] == ("Polka",)
    written = metadata.write(path, {"GENRE": ("Rock", "Metal"), "MOOD": ("Slow",)})
    assert written is not None
    after = path.read_bytes()
    assert after.startswith(b"ID3\3")
    assert b"MyTitle" in after
    assert b"Polka" not in after
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


def test_dsf_is_left_alone_with_a_reason(tmp_path: Path) -> None:
    path = track(tmp_path, "dsf", before=FRONT)
    before = path.read_bytes()
    with pytest.raises(MetadataError, match="an ID3 tag stands in front of it") as caught:
        metadata.write(path, {"GENRE": ("Rock",)})
    assert caught.value.cure == "remove that tag first"
    assert path.read_bytes() == before
