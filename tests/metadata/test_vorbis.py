"""Vorbis comments, in FLAC and Ogg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mutagen
import mutagen.flac
import mutagen.id3
import pytest
from containers import decorate, decorations, id3, id3v1, text, track
from tagging import FULL, TITLE

from musictag import metadata
from musictag.errors import MetadataError
from musictag.formats import ogg_pages


def sum_up(path: Path) -> None:
    """Give the pages of an Ogg file the checksums of what they hold by now."""
    content = bytearray(path.read_bytes())
    with path.open("rb") as file:
        for page in ogg_pages.pages(file):
            sound = [bytes(content[page.start : page.end])]
            content[page.place : page.start] = page.header(sound)
    path.write_bytes(content)


@pytest.mark.parametrize("container", ["flac", "ogg", "opus", "ogg-flac", "speex"])
def test_comments_that_are_not_utf_8_stay_byte_for_byte(tmp_path: Path, container: str) -> None:
    """mutagen by itself would mend them."""
    path = track(tmp_path, container)
    tags = mutagen.File(path)
    tags["title"], tags["genre"] = "T..tle", "G..re"
    tags.save()
    odd = path.read_bytes().replace(b"T..tle", b"T\xff\xfetle").replace(b"G..re", b"G\xff\xfere")
    path.write_bytes(odd)
    sum_up(path)
    before = metadata.snapshot(path)
    assert before.values()["GENRE"] == ("G\ufffd\ufffdre",)
    metadata.write(path, FULL)
    assert b"itle=T\xff\xfetle" in path.read_bytes()
    metadata.restore(path, before, expected=None)
    assert b"genre=G\xff\xfere" in path.read_bytes()
    assert metadata.snapshot(path) == before


@pytest.mark.parametrize("padding", [0, 100, 50_000])
def test_blocks_of_flac_survive_with_as_much_padding(tmp_path: Path, padding: int) -> None:
    """Cue sheet, seek table, pictures, somebody's application block, the vendor."""
    path = track(tmp_path, "flac")
    decorate(path)
    file = mutagen.flac.FLAC(path)
    file.tags.vendor = "reference libFLAC 1.3.2"
    application: Any = mutagen.flac.MetadataBlock(b"some" + bytes(9))
    application.code = 2
    file.metadata_blocks.append(application)
    file.save(padding=lambda _: padding)
    blocks = {(b.code, b.write()) for b in file.metadata_blocks if b.code not in (1, 4)}
    assert {code for code, _ in blocks} >= {0, 2, 3, 5, 6}
    before = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    after = mutagen.flac.FLAC(path)
    assert {(b.code, b.write()) for b in after.metadata_blocks if b.code not in (1, 4)} == blocks
    assert after.tags.vendor == "reference libFLAC 1.3.2"
    if padding == 50_000:
        assert path.stat().st_size == len(before)
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == before


@pytest.mark.parametrize("container", ["ogg", "opus", "ogg-flac", "speex"])
def test_the_vendor_and_embedded_pictures_survive_in_ogg(tmp_path: Path, container: str) -> None:
    path = track(tmp_path, container)
    decorate(path)
    file = mutagen.File(path)
    file.tags.vendor = "libopus 1.4, somebody's build"
    file["REPLAYGAIN_TRACK_GAIN"], file["R128_TRACK_GAIN"] = "-7.30 dB", "-1234"
    file["MUSICBRAINZ_TRACKID"], file["LYRICS"] = "f2c2", "la\nla"
    file.save()
    kept = decorations(path)
    assert "metadata_block_picture" in kept[0]
    metadata.write(path, FULL)
    assert decorations(path) == kept
    assert mutagen.File(path).tags.vendor == "libopus 1.4, somebody's build"


def test_a_vendor_that_is_lost_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = track(tmp_path, "ogg")
    before = path.read_bytes()
    save = metadata.ogg.Ogg.save

    def careless(self: Any) -> None:
        save(self)
        file = mutagen.File(self.path)
        file.tags.vendor = "me"
        file.save()

    monkeypatch.setattr(metadata.ogg.Ogg, "save", careless)
    with pytest.raises(MetadataError, match="would not survive"):
        metadata.write(path, FULL)
    assert path.read_bytes() == before


def test_a_flac_file_between_id3_tags_keeps_both(tmp_path: Path) -> None:
    before, after = id3(3, TITLE[3], text(3, "TCON", "Pop")), id3v1()
    path = track(tmp_path, "flac", before=before, after=after)
    tags = mutagen.flac.FLAC(path)
    tags["title"] = "Title"
    tags.save()
    original = path.read_bytes()
    assert metadata.read(path)["GENRE"] == ("Pop",)
    written = metadata.write(path, FULL)
    assert written is not None
    assert metadata.read(path) == FULL
    assert list(mutagen.flac.FLAC(path)["genre"]) == ["Rock", "Choral"]
    content = path.read_bytes()
    agreeing = mutagen.id3.ID3(path)
    assert (agreeing["TIT2"].text, agreeing["TCON"].text) == (["Title"], ["Rock", "Choral"])
    assert content.endswith(after)  # the genre's number is that of Rock
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original


def test_a_flac_file_with_id3_alone_gets_no_comments(tmp_path: Path) -> None:
    """They would hide its title from all who look for ID3 only without them."""
    before = id3(3, TITLE[3], text(3, "TCON", "Pop"))
    path = track(tmp_path, "flac", before=before)
    original = path.read_bytes()
    written = metadata.write(path, FULL)
    assert written is not None
    assert metadata.read(path) == FULL
    assert mutagen.flac.FLAC(path).tags is None
    assert mutagen.id3.ID3(path)["TCON"].text == ["Rock", "Choral"]
    metadata.restore(path, written.before, expected=written.after)
    assert path.read_bytes() == original
