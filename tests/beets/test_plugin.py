"""The plugin for beets, with the beets that is installed; skipped without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import mutagen.id3
import pytest
import sounds
from journalled import flac
from waits import WAIT_S

from musictag import metadata
from musictag.errors import UsageError
from musictag.outcome import Change, Outcome, Problem

beets = pytest.importorskip("beets")

HEARD = {"GENRE": ("Electronic", "Techno"), "MOOD": ("Happy",), "VOCALS": ()}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The plugin, which can be made only once in a process: its fields join those of beets."""
    from beetsplug.musictag import MusictagPlugin  # noqa: PLC0415  # needs beets

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEETSDIR", os.fspath(tmp_path_factory.mktemp("beets")))
        yield MusictagPlugin()


class Hears:
    """Stands for musictag.tagger.Tagger."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.chosen: dict[str, tuple[str, ...]] = dict(HEARD)
        self.in_file: dict[str, tuple[str, ...]] = {}
        self.error: Problem | None = None
        self.refusal: Exception | None = None

    def __call__(self, model: str | None, device: str) -> Hears:
        self.model = model, device
        return self

    def __enter__(self) -> Hears:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def scan(
        self, paths: Iterable[Path], *, fields: list[str], **settings: Any
    ) -> Generator[Outcome, None, None]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append({"fields": fields, **settings})
        for path in paths:
            old = {f.upper(): self.in_file.get(f.upper(), ()) for f in fields}
            yield Outcome(
                path,
                "failed" if self.error else "planned",
                chosen=self.chosen,
                fields={name: Change(values, ()) for name, values in old.items()},
                error=self.error,
            )


@pytest.fixture
def hears(monkeypatch: pytest.MonkeyPatch) -> Hears:
    made = Hears()
    monkeypatch.setattr("musictag.tagger.Tagger", made)
    return made


@pytest.fixture
def settings(plugin: Any) -> Iterator[Callable[..., None]]:
    """Set the plugin's configuration for one test."""
    before = plugin.config.root().sources[:]

    def choose(**values: Any) -> None:
        plugin.config.set(values)

    yield choose
    plugin.config.root().sources[:] = before


@pytest.fixture(scope="module")
def library(plugin: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from beets.library import Library  # noqa: PLC0415  # needs beets

    folder = tmp_path_factory.mktemp("library")
    return Library(os.fspath(folder / "library.db"), os.fspath(folder))


@pytest.fixture
def item(library: Any, tmp_path: Path) -> Any:
    from beets.library import Item  # noqa: PLC0415  # needs beets

    song = tmp_path / "song.mp3"
    song.write_bytes(b"music")
    made = Item(path=os.fsencode(song), title="Song")
    library.add(made)
    return made


def genre(plugin: Any, item: Any) -> list[str]:
    from beetsplug.musictag import FIELDS  # noqa: PLC0415  # needs beets

    return plugin.values(item[FIELDS["GENRE"]])  # type: ignore[no-any-return]


def set_genre(item: Any, *values: str) -> None:
    from beetsplug.musictag import FIELDS, HAS_GENRES  # noqa: PLC0415  # needs beets

    item[FIELDS["GENRE"]] = list(values) if HAS_GENRES else ", ".join(values)


POLICIES = [
    ("keep", (), ["Electronic", "Techno"]),
    ("keep", ("Rock",), ["Rock"]),
    ("merge", ("techno", "Rock"), ["techno", "Rock", "Electronic"]),
    ("replace", ("Rock",), ["Electronic", "Techno"]),
    ("genre=replace,mood=keep", ("Rock",), ["Electronic", "Techno"]),
    ("mood=replace", ("Rock",), ["Rock"]),
    ({"genre": "merge"}, ("Rock",), ["Rock", "Electronic", "Techno"]),
]


@pytest.mark.parametrize(("existing", "old", "expected"), POLICIES)
def test_existing_values_are_kept_merged_or_replaced(
    plugin: Any,
    item: Any,
    hears: Hears,
    existing: Any,
    old: tuple[str, ...],
    expected: list[str],
) -> None:
    set_genre(item, *old)
    list(plugin.heard([item], ["genre", "mood"], existing))
    assert genre(plugin, item) == expected
    assert plugin.values(item["mood"]) == ["Happy"]


def test_the_policy_stands_in_the_configuration(
    plugin: Any, item: Any, hears: Hears, settings: Callable[..., None]
) -> None:
    set_genre(item, "Rock")
    settings(existing={"genre": "replace"})
    list(plugin.heard([item], ["genre"]))
    assert genre(plugin, item) == ["Electronic", "Techno"]
    assert hears.asked[0]["existing"] == {"genre": "replace"}


def test_where_nothing_is_heard_what_is_there_stays(plugin: Any, item: Any, hears: Hears) -> None:
    set_genre(item, "Rock")
    hears.chosen = {}
    assert list(plugin.heard([item], ["genre", "mood"], "replace")) == []
    assert genre(plugin, item) == ["Rock"]


def test_a_mood_that_only_the_file_knows_counts_as_there(
    plugin: Any, item: Any, hears: Hears
) -> None:
    hears.in_file = {"MOOD": ("Sad",)}
    list(plugin.heard([item], ["mood"], "keep"))
    assert plugin.values(item["mood"]) == ["Sad"]


def test_what_is_as_it_should_be_is_no_change(plugin: Any, item: Any, hears: Hears) -> None:
    assert list(plugin.heard([item], ["genre", "mood"], "replace")) == [item]
    assert list(plugin.heard([item], ["genre", "mood"], "replace")) == []


def test_musictags_settings_stand_in_beets_configuration(
    plugin: Any, item: Any, hears: Hears, settings: Callable[..., None]
) -> None:
    settings(max_genres=1, rename={"Techno": "Club"}, model="mine", device="cpu")
    list(plugin.heard([item], plugin.wanted()))
    assert hears.model == ("mine", "cpu")
    (asked,) = hears.asked
    assert asked["fields"] == ["genre", "mood"]
    assert (asked["max_genres"], asked["rename"]) == (1, {"Techno": "Club"})


def test_without_threads_one_process_decodes(
    plugin: Any, item: Any, hears: Hears, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(plugin.heard([item], ["genre"]))
    plugin.config.root()["threaded"].set(False)
    list(plugin.heard([item], ["genre"]))
    plugin.config.root()["threaded"].set(True)
    assert [asked.get("jobs") for asked in hears.asked] == [None, 1]


def test_a_file_that_cannot_be_heard_is_left_as_it_is(
    plugin: Any, item: Any, hears: Hears, caplog: pytest.LogCaptureFixture
) -> None:
    hears.error = Problem("corrupt", "it is damaged")
    assert list(plugin.heard([item], ["genre"])) == []
    assert genre(plugin, item) == []


def test_a_missing_file_is_left_out(plugin: Any, item: Any, hears: Hears) -> None:
    Path(os.fsdecode(item.path)).unlink()
    assert list(plugin.heard([item], ["genre"])) == []
    assert hears.asked == []


def test_a_wrong_setting_is_a_sentence(plugin: Any, item: Any, hears: Hears) -> None:
    from beets.ui import UserError  # noqa: PLC0415  # needs beets

    hears.refusal = UsageError("--fields: expected genre, not artist")
    with pytest.raises(UserError, match="musictag: --fields: expected genre"):
        list(plugin.heard([item], ["artist"]))


@pytest.mark.parametrize("container", ["mp3", "flac", "ogg", "m4a", "wma"])
def test_beets_writes_where_musictag_reads(plugin: Any, container: str, tmp_path: Path) -> None:
    from beets.library import Item  # noqa: PLC0415  # needs beets

    path = sounds.make(tmp_path, container, seconds=1)
    item = Item.from_path(os.fsencode(path))
    set_genre(item, "Techno")
    for name, values in {"mood": ["Happy", "Fast"], "vocals": ["Female"]}.items():
        item[name] = plugin.as_kept(values)
    item.write()
    assert metadata.read(path) == {
        "GENRE": ("Techno",),
        "MOOD": ("Happy", "Fast"),
        "INSTRUMENT": (),
        "VOCALS": ("Female",),
    }
    again = Item.from_path(os.fsencode(path))
    assert plugin.values(again["mood"]) == ["Happy", "Fast"]
    if container == "mp3":
        frames = mutagen.id3.ID3(path)
        assert "TMOO" in frames
        assert "TXXX:MOOD" not in frames


def test_in_id3v23_moods_stand_where_that_version_keeps_them(plugin: Any, tmp_path: Path) -> None:
    import mediafile  # noqa: PLC0415  # comes with beets

    path = sounds.make(tmp_path, "mp3", seconds=1)
    plugin.config.root()["id3v23"].set(True)
    field = plugin._media_field("mood")
    plugin.config.root()["id3v23"].set(False)
    file = mediafile.MediaFile(path, id3v23=True)
    file.genre = "Techno"
    field.__set__(file, plugin.as_kept(["Happy"]))
    file.save()
    assert metadata.read(path)["MOOD"] == ("Happy",)
    assert mutagen.id3.ID3(path, translate=False).version == (2, 3, 0)


# ---------------------------------------------------------------- the program


@pytest.fixture
def beet(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The program, with a library of its own."""
    home = tmp_path / "beets"
    home.mkdir()
    ours = {"auto": True, "fields": ["genre", "mood", "vocals"], "model": os.fspath(tiny)}
    described = {
        "directory": os.fspath(tmp_path / "Library"),
        "library": os.fspath(home / "library.db"),
        "plugins": "musictag",
        "ui": {"color": False},
        "musictag": ours,
    }
    (home / "config.yaml").write_text(json.dumps(described))  # which is YAML, too
    monkeypatch.setenv("BEETSDIR", os.fspath(home))
    monkeypatch.setenv("PYTHONPATH", os.fspath(Path(__file__).parents[2]))

    def run(*words: str | Path) -> str:
        command = [sys.executable, "-m", "beets", *map(os.fspath, words)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def test_new_music_is_heard_when_it_is_imported_and_a_query_hears_the_rest(
    beet: Callable[..., str], tmp_path: Path
) -> None:
    import mediafile  # noqa: PLC0415  # comes with beets

    song = flac(tmp_path / "new")
    tags = mediafile.MediaFile(song)
    tags.title, tags.artist, tags.album = "Song", "Somebody", "Album"
    tags.save()
    before = song.read_bytes()
    beet("import", "--quiet", "--noautotag", tmp_path / "new")
    assert song.read_bytes() == before
    assert beet("list", "--format", "$mood|$vocals").strip() == "Slow|Female"
    (copy,) = (tmp_path / "Library").rglob("*.flac")
    beet("modify", "--yes", "mood=Sad")
    assert "Slow" in beet("musictag", "--pretend", "--force")
    assert metadata.read(copy)["MOOD"] == ("Sad",)
    assert "Slow" in beet("musictag", "--force", "mood:Sad")
    assert metadata.read(copy)["MOOD"] == ("Slow",)
