"""Settings: defaults, the file over them, options over both; what is not understood is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from musictag import config, decision
from musictag.config import Settings, written
from musictag.config.declared import checked, declared
from musictag.errors import UsageError
from musictag.vocabulary import FIELDS, magnatagatune


def settings_file(directory: Path, text: str) -> Path:
    path = directory / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert config.load(tmp_path / "config.toml") == Settings()


def test_by_default_only_empty_genre_and_mood_are_filled() -> None:
    assert Settings().policies == {"GENRE": "keep", "MOOD": "keep"}


def test_the_file_is_looked_for_in_the_users_configuration_folder(nobodys_home: Path) -> None:
    path = nobodys_home / "config" / "musictag" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("jobs = 3\n")
    assert config.default_path() == path
    assert config.load().jobs == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('fields = ["genre", "VOCALS", "genre"]', {"fields": ("GENRE", "VOCALS")}),
        ('hardlinks = "in-place"', {"hardlinks": "in-place"}),
        ('existing = "merge"', {"existing": dict.fromkeys(FIELDS, "merge")}),
        ('existing = { mood = "replace" }', {"existing": {"MOOD": "replace"}}),
        ("[existing]\ngenre = 'merge'", {"existing": {"GENRE": "merge"}}),
        ("max_genres = 1\nmax_vocals = 3", {"max_genres": 1, "max_vocals": 3}),
        ("sure = 0.7", {"sure": 0.7}),
        ("sure = 1", {"sure": 1.0}),
        ("sure = 'careful'", {"sure": "careful"}),
        ("[rename]\nIndian = 'World'", {"rename": {"Indian": "World"}}),
        ("[thresholds]\nPop = 0.6", {"thresholds": {"Pop": 0.6}}),
        ("drop = ['Pop']\nparents = 'add'", {"drop": ("Pop",), "parents": "add"}),
        ("whitelist = ['Pop', 'Rock']", {"whitelist": ("Pop", "Rock")}),
        ("segments = 3", {"segments": 3}),
        ('device = "cuda:1"', {"device": "cuda:1"}),
        ('exclude = ["Podcasts", "*.tmp"]', {"exclude": ("Podcasts", "*.tmp")}),
        ('join = "; "', {"join": "; "}),
        ("preserve_mtime = true\ncache = false", {"preserve_mtime": True, "cache": False}),
    ],
)
def test_every_setting_can_stand_in_the_file(
    tmp_path: Path, text: str, expected: dict[str, object]
) -> None:
    assert config.load(settings_file(tmp_path, text)) == Settings(**expected)  # type: ignore[arg-type]


def test_every_setting_is_declared_and_every_declaration_is_a_setting() -> None:
    assert set(declared()) == set(Settings.__dataclass_fields__)


def test_the_defaults_keep_to_the_declarations() -> None:
    for name, value in dataclasses.asdict(Settings()).items():
        if value is not None:
            assert checked(name, value) == value


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("max_genre = 1", ["max_genre", "no such setting", "did you mean max_genres?"]),
        ("[scan]\njobs = 1", ["scan", "no such setting", "there are fields, existing"]),
        ("Max-Moods = 1", ["Max-Moods", "did you mean max_moods?"]),
        ("max_genres = 0", ["max_genres", "from 1 up", "0"]),
        ("max_genres = '2'", ["max_genres", "whole number", "'2'"]),
        ("jobs = true", ["jobs", "whole number"]),
        ("jobs = 1.5", ["jobs", "whole number"]),
        ("jobs = 999999", ["jobs", "at most 256", "999999"]),
        ('model = ""', ["model", "a name or a directory", "''"]),
        ('fields = ["artist"]', ["fields", "'artist'", "genre, mood, instrument, vocals"]),
        ("fields = []", ["fields", "at least one"]),
        ("fields = 3", ["fields", "list"]),
        ('existing = "overwrite"', ["existing", "keep, merge or replace", "'overwrite'"]),
        ('hardlinks = "cut"', ["hardlinks", "refuse, replace or in-place", "'cut'"]),
        ('existing = { genre = "no" }', ["existing", "'no'"]),
        ("existing = 3", ["existing", "keep, merge or replace"]),
        ('device = "gpu"', ["device", "'gpu'", "cuda"]),
        ('exclude = "Podcasts"', ["exclude", "list"]),
        ('join = ""', ["join", "at least one character"]),
        ("preserve_mtime = 1", ["preserve_mtime", "true or false"]),
        ("sure = 2", ["sure", "from 0 to 1", "careful, balanced, bold", "2"]),
        ("sure = 'very'", ["sure", "from 0 to 1", "'very'"]),
        ("parents = 'all'", ["parents", "add, only or none"]),
        ("[thresholds]\nPop = 3", [":2: thresholds", "from 0 to 1", "not 3"]),
        ("[rename]\nPop = ''", [":2: rename", "the word to write"]),
        ("[rename]\nPop = 'a/b'", [":2: rename", "separates values"]),
        ("[rename]\nPop = 'x'\njobs = 2", [":3: rename", "jobs is a setting: put it above"]),
        ("jobs =", ["not valid TOML"]),
        ("jobs = 2\njoin = ;  # one text", ["line 2", 'a text needs quotes: join = ";"']),
        ("sure = careful", ["line 1", 'a text needs quotes: sure = "careful"']),
    ],
)
def test_what_is_not_understood_is_named_with_file_line_and_key(
    tmp_path: Path, text: str, named: list[str]
) -> None:
    path = settings_file(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        config.load(path)
    for words in (str(path), *named):
        assert words in str(caught.value)


@pytest.mark.parametrize("join", [" ", "o", "Age", "\0", ";\0", "\n", ", \r\n", "kk", "\udce9"])
def test_what_could_not_be_taken_apart_again_joins_nothing(join: str) -> None:
    """The second scan would find other values than the first one wrote."""
    with pytest.raises(UsageError, match=r"^--join: .*\S") as caught:
        settings = config.override(Settings(), {"join": join})
        decision.check_join(settings.join or "", magnatagatune())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("join", ["; ", ", ", "/", " / ", "\\\\", "|", "\t", "; and ", "、"])
def test_what_can_be_taken_apart_again_joins(join: str) -> None:
    assert config.override(Settings(), {"join": join}).join == join
    decision.check_join(join, magnatagatune())


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("max_genre = 1", 1, "max_genre"),
        ("# mine\n\nmax_genres = 0\n", 3, "max_genres"),
        ("jobs = 2\n'max_genres' = 0", 2, "max_genres"),
        ("max_genres_of_all = 1\nmax_genres = 0", 1, "max_genres_of_all"),
        ("jobs = 2\n[existing]\ngenre = 'no'", 3, "existing"),
        ("[existing]\nmood = 'keep'\n'genre' = 'no'", 3, "existing"),
        ("[existing]\nmood = 'keep'\nartist = 'keep'\n[other]", 3, "existing"),
        ("jobs = 2\r\nexisting.genre = 'no'\r\n", 2, "existing"),
        ("exclude = [\n  'a',\n]\n  device   = 'gpu'", 4, "device"),
    ],
)
def test_the_line_of_a_mistake_is_named(tmp_path: Path, text: str, line: int, name: str) -> None:
    path = settings_file(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        config.load(path)
    assert str(caught.value).startswith(f"{path}:{line}: {name}: ")


def test_the_line_of_what_is_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2"):
        config.load(settings_file(tmp_path, "jobs = 1\nsegments =\n"))


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        config.load(path)


def test_a_file_as_windows_editors_save_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbfmax_genres = 1\r\n")
    assert config.load(path).max_genres == 1


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(tmp_path)):
        config.load(tmp_path)


def test_the_environment_goes_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings_file(tmp_path, "max_genres = 1\nmax_moods = 1\ncache = true")
    monkeypatch.setenv("MUSICTAG_MAX_GENRES", "3")
    monkeypatch.setenv("MUSICTAG_MAX_MOODS", "")
    monkeypatch.setenv("MUSICTAG_CACHE", "no")
    found = config.effective(path)
    settings = found.settings
    assert (settings.max_genres, settings.max_moods, settings.cache) == (3, 1, False)
    assert found.origins == {
        "max_genres": "MUSICTAG_MAX_GENRES",
        "max_moods": f"{path}:2",
        "cache": "MUSICTAG_CACHE",
    }


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("FIELDS", "genre, vocals", {"fields": ("GENRE", "VOCALS")}),
        ("EXISTING", "genre=merge", {"existing": {"GENRE": "merge"}}),
        ("EXCLUDE", "Podcasts, *.tmp", {"exclude": ("Podcasts", "*.tmp")}),
        ("PRESERVE_MTIME", "True", {"preserve_mtime": True}),
        ("BATCH_SIZE", "16", {"batch_size": 16}),
        ("BATCH_SIZE", "auto", {}),
        ("JOIN", "; ", {"join": "; "}),
        ("SURE", "0.9", {"sure": 0.9}),
        ("SURE", "bold", {"sure": "bold"}),
        ("DROP", "Pop, Rock", {"drop": ("Pop", "Rock")}),
        ("RENAME", "Indian=World,Metal=Rock", {"rename": {"Indian": "World", "Metal": "Rock"}}),
        ("THRESHOLDS", "Pop=0.6,Happy=1", {"thresholds": {"Pop": 0.6, "Happy": 1.0}}),
        ("WHITELIST", "/genres.txt", {"whitelist": "/genres.txt"}),
        ("MODEL", "7", {"model": "7"}),
    ],
)
def test_a_variable_says_what_the_file_says(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    text: str,
    expected: dict[str, object],
) -> None:
    monkeypatch.setenv(f"MUSICTAG_{name}", text)
    assert config.load(tmp_path / "config.toml") == Settings(**expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "MAX_GENRE",
            "1",
            "MUSICTAG_MAX_GENRE: no such setting (did you mean MUSICTAG_MAX_GENRES?",
        ),
        ("SOMETHING", "1", "MUSICTAG_SOMETHING: no such setting (unset it)"),
        ("JOBS", "many", "MUSICTAG_JOBS: expected a whole number from 1 up, not 'many'"),
        ("CACHE", "maybe", "MUSICTAG_CACHE: expected true or false, not 'maybe'"),
        ("CONFIG", "/nowhere.toml", "MUSICTAG_CONFIG: /nowhere.toml: there is no such file"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    monkeypatch.setenv(f"MUSICTAG_{name}", text)
    with pytest.raises(UsageError) as caught:
        config.load()
    assert str(caught.value).startswith(message)


def test_another_settings_file_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICTAG_CONFIG", str(settings_file(tmp_path, "jobs = 3")))
    assert config.load().jobs == 3


def test_the_commented_file_explains_every_setting_and_sets_none(tmp_path: Path) -> None:
    explained = {name for settings in written.ABOUT.values() for name in settings}
    assert explained == {field.name for field in dataclasses.fields(Settings)}
    assert config.load(settings_file(tmp_path, written.commented())) == Settings()


def test_the_examples_of_the_commented_file_are_settings(tmp_path: Path) -> None:
    examples = {n: e for about in written.ABOUT.values() for n, (_, e) in about.items()}
    for name, example in examples.items():
        found = config.effective(settings_file(tmp_path, example))
        assert list(found.origins) == [name]
        default = getattr(Settings(), name)
        if default not in (None, (), {}):
            assert getattr(found.settings, name) == default, "the example shows the default"


def test_what_is_shown_is_a_settings_file_of_the_same_meaning(tmp_path: Path) -> None:
    text = 'join = "\\t"\nexclude = ["a \'b\'"]\nexisting = "merge"\n'
    found = config.effective(settings_file(tmp_path, text))
    shown = "\n".join(written.shown(found))
    again = config.load(settings_file(tmp_path, shown))
    assert again.policies == found.settings.policies
    assert dataclasses.replace(again, existing={}) == dataclasses.replace(
        found.settings, existing={}
    )


def test_options_go_over_the_file_and_absent_ones_leave_it(tmp_path: Path) -> None:
    settings = config.load(settings_file(tmp_path, "max_genres = 1\nmax_moods = 1\ncache = true"))
    settings = config.override(settings, {"max_genres": 3, "max_moods": None, "cache": False})
    assert (settings.max_genres, settings.max_moods, settings.cache) == (3, 1, False)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("replace", {"GENRE": "replace", "MOOD": "replace"}),
        ("genre=replace", {"GENRE": "replace", "MOOD": "keep"}),
        ("genre=replace,mood=merge", {"GENRE": "replace", "MOOD": "merge"}),
    ],
)
def test_a_policy_is_given_for_all_fields_or_for_each(
    option: str, expected: dict[str, str]
) -> None:
    assert config.override(Settings(), {"existing": option}).policies == expected


def test_fields_are_given_as_a_list_with_commas() -> None:
    settings = config.override(Settings(), {"fields": "vocals, genre"})
    assert settings.fields == ("VOCALS", "GENRE")


def test_a_wrong_option_is_named_as_it_was_typed() -> None:
    with pytest.raises(UsageError, match=r"^--batch-size: expected a whole number"):
        config.override(Settings(), {"batch_size": 0})


@pytest.mark.parametrize("value", ["'many'", "1025", "true", "'8'"])
def test_segments_at_once_are_a_number_or_auto(tmp_path: Path, value: str) -> None:
    fixed = config.load(settings_file(tmp_path, "batch_size = 16"))
    assert fixed.batch_size == 16
    assert config.override(fixed, {"batch_size": "auto"}).batch_size is None
    assert config.load(settings_file(tmp_path, "batch_size = 'auto'")).batch_size is None
    with pytest.raises(UsageError, match="batch_size: expected"):
        config.load(settings_file(tmp_path, f"batch_size = {value}"))


def test_a_list_of_genres_lies_beside_the_settings_file_that_names_it(tmp_path: Path) -> None:
    assert config.load(settings_file(tmp_path, "whitelist = 'mine.txt'")).whitelist == str(
        tmp_path / "mine.txt"
    )
    assert config.override(Settings(), {"whitelist": "mine.txt"}).whitelist == "mine.txt"


def test_a_model_in_the_home_directory_is_found(nobodys_home: Path) -> None:
    assert config.override(Settings(), {"model": "~/models/mine"}).model == str(
        nobodys_home / "models" / "mine"
    )
    assert config.override(Settings(), {"model": "first"}).model == "first"
