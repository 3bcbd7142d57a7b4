"""Which files a walk finds: every rule on a small tree, by hand."""

from __future__ import annotations

import io
import os
import sys
import tracemalloc
from pathlib import Path

import pytest

from musictag import files
from musictag.errors import FileError, UsageError

posix = pytest.mark.skipif(os.name != "posix", reason="names, links and rights as in POSIX")
not_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything"
)


def tree(root: Path, *names: str) -> Path:
    """Empty files of these names, with the folders they need."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(*roots: Path, exclude: tuple[str, ...] = ()) -> list[str]:
    """What the walk gives, relative to the first root."""
    base = roots[0] if roots[0].is_dir() else roots[0].parent
    return [
        os.path.relpath(path, base) if isinstance(path, Path) else f"{path.code}: {path.path}"
        for path in files.walk(roots, exclude=exclude)
    ]


def test_folders_and_files_come_sorted_by_their_names_bytes(tmp_path: Path) -> None:
    tree(tmp_path, "b.mp3", "a/2.flac", "a/10.flac", "B.mp3", "é.ogg", "a.mp3", "a/z/1.wav")

    # files first, "B" < "a" < "b" < "é" in bytes; then the folder "a"; "1" < "2"
    expected = ["B.mp3", "a.mp3", "b.mp3", "é.ogg", "a/10.flac", "a/2.flac", "a/z/1.wav"]
    assert found(tmp_path) == expected
    assert found(tmp_path) == expected


@pytest.mark.parametrize("extension", sorted(files.EXTENSIONS))
def test_every_extension_is_found_in_any_case(extension: str, tmp_path: Path) -> None:
    tree(tmp_path, "one" + extension, "TWO" + extension.upper())
    assert len(found(tmp_path)) == 2


def test_what_is_not_music_is_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, "cover.jpg", "list.m3u8", "film.mp4", "notes", "mp3", "a.mp3.part", "a.mp3")
    assert found(tmp_path) == ["a.mp3"]


@pytest.mark.parametrize(
    "name",
    [
        "._a.mp3",
        ".a.mp3",
        ".a.mp3.musictag-x1y2.mp3",
        "...a.mp3.musictag-x1y2.mp3",
        ".AppleDouble/a.mp3",
        "@eaDir/a.mp3",
        "@EADIR/a.mp3",
        "#recycle/a.mp3",
        "$RECYCLE.BIN/a.mp3",
        "System Volume Information/a.mp3",
        "lost+found/a.mp3",
        "__MACOSX/a.mp3",
        "below/.hidden/further/a.mp3",
    ],
)
def test_hidden_and_system_names_are_skipped(name: str, tmp_path: Path) -> None:
    tree(tmp_path, name, "heard.mp3")
    assert found(tmp_path) == ["heard.mp3"]


def test_an_album_that_starts_with_an_ellipsis_is_not_hidden(tmp_path: Path) -> None:
    tree(tmp_path, "...And Justice for All/01.mp3", "..Like Clockwork.mp3")
    assert len(found(tmp_path)) == 2


def test_a_hidden_root_is_walked_because_it_was_named(tmp_path: Path) -> None:
    assert found(tree(tmp_path / ".music", "a.mp3")) == ["a.mp3"]


def test_a_marker_keeps_us_out_of_its_folder_and_below(tmp_path: Path) -> None:
    tree(tmp_path, "a/.nomusictag", "a/1.mp3", "a/b/2.mp3", "c/3.mp3")
    assert found(tmp_path) == ["c/3.mp3"]
    assert found(tmp_path / "a") == []
    assert found(tmp_path / "a/1.mp3") == ["1.mp3"], "a file that is named is taken"


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.wav", ["a/1.mp3", "a/live/2.mp3", "live/3.mp3"]),
        ("live", ["a/1.mp3", "a/4.wav"]),
        ("live/", ["a/1.mp3", "a/4.wav"]),
        ("a/live", ["a/1.mp3", "a/4.wav", "live/3.mp3"]),
        ("*/live", ["a/1.mp3", "a/4.wav", "live/3.mp3"]),
        ("a/*.mp3", ["a/4.wav", "live/3.mp3"]),
        ("a/**/2.mp3", ["a/1.mp3", "a/4.wav", "live/3.mp3"]),
        ("LIVE", ["a/1.mp3", "a/4.wav", "a/live/2.mp3", "live/3.mp3"]),
        ("[0-3].*", ["a/4.wav"]),
    ],
)
def test_excluded(pattern: str, left: list[str], tmp_path: Path) -> None:
    tree(tmp_path, "a/1.mp3", "a/live/2.mp3", "live/3.mp3", "a/4.wav")
    assert found(tmp_path, exclude=(pattern,)) == left


def test_exclusions_also_meet_the_files_that_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "a.mp3", "b.mp3")
    assert found(tmp_path / "a.mp3", tmp_path / "b.mp3", exclude=("b*",)) == ["a.mp3"]


@pytest.mark.parametrize(
    ("pattern", "listed", "out"),
    [
        ("*.wav", "a/4.wav", True),
        ("*.wav", "a/4.wav.mp3", False),
        ("live", "a/live/2.mp3", True),
        ("live/", "live/3.mp3", True),
        ("LIVE", "live/3.mp3", False),
        ("live", "alive/3.mp3", False),
        ("a/live", "a/live/2.mp3", True),
        ("a/live", "b/a/live/2.mp3", False),
        ("/a/live", "/a/live/2.mp3", True),
        ("a/live", "/a/live/2.mp3", True),
        ("*/live", "/m/a/live/2.mp3", True),
        ("*/live", "live/3.mp3", False),
        ("a/*.mp3", "a/1.mp3", True),
        ("/", "/a/1.mp3", False),
        ("a", "./a/1.mp3", True),
    ],
)
def test_listed_files_are_excluded_by_the_rule_of_the_walk(
    pattern: str, listed: str, out: bool
) -> None:
    assert files.excluded(Path(listed), ["no match", pattern]) is out
    assert not files.excluded(Path(listed), [])


def test_what_is_listed_below_a_root_is_excluded_as_the_walk_excludes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree(tmp_path, "a/1.mp3", "a/live/2.mp3", "live/3.mp3", "a/4.wav"))
    everything = found(Path())
    assert len(everything) == 4
    for pattern in ("*.wav", "live", "a/live", "*/live", "a/*.mp3", "[0-3].*", "a", "*"):
        left = [path for path in everything if not files.excluded(Path(path), [pattern])]
        assert left == found(Path(), exclude=(pattern,)), pattern


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    tree(tmp_path, "film.mp4", ".hidden")
    assert found(tmp_path / "film.mp4", tmp_path / ".hidden") == ["film.mp4", ".hidden"]


def test_a_missing_root_ends_it_before_anything_is_given(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="elsewhere: no such file or folder"):
        files.walk([tree(tmp_path, "a.mp3"), tmp_path / "elsewhere"])
    with pytest.raises(UsageError, match="no such"):
        files.check_roots([tmp_path / "a.mp3" / "below"])


def test_overlapping_roots_give_each_file_once(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.mp3", "a/b/2.mp3", "c.mp3", "d.txt")
    a, c = tmp_path / "a", tmp_path / "c.mp3"
    everything = ["c.mp3", "a/1.mp3", "a/b/2.mp3"]
    assert found(tmp_path, a, c, tmp_path) == everything
    assert sorted(Path(p).name for p in found(c, a / "b", tmp_path, c)) == [
        "1.mp3",
        "2.mp3",
        "c.mp3",
    ]
    # one that the walk itself would not take is not lost because its folder was walked
    assert found(tmp_path, tmp_path / "d.txt", tmp_path / "d.txt") == [*everything, "d.txt"]


@posix
def test_links_round_in_a_circle_end(tmp_path: Path) -> None:
    tree(tmp_path, "a/b/1.mp3")
    (tmp_path / "a/b/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a/self").symlink_to("self")
    assert found(tmp_path) == ["a/b/1.mp3"]


@posix
@pytest.mark.parametrize("names", [["self.mp3"], ["0.mp3", "z.mp3"], ["0.mp3", "b/c.mp3", "z.mp3"]])
def test_music_that_is_only_a_link_round_in_a_circle_is_left_to_whoever_opens_it(
    names: list[str], tmp_path: Path
) -> None:
    tree(tmp_path, "b/1.mp3")
    for name, target in zip(names, [*names[1:], names[0]], strict=True):
        (tmp_path / name).symlink_to(tmp_path / target)
    assert sorted(found(tmp_path)) == sorted([*names, "b/1.mp3"])
    assert found(tmp_path / names[0]) == [names[0]]


@posix
def test_a_folder_reached_twice_is_walked_once_and_one_elsewhere_is_followed(
    tmp_path: Path,
) -> None:
    library, elsewhere = tree(tmp_path / "library", "a/1.mp3"), tree(tmp_path / "disk", "2.mp3")
    (library / "b").symlink_to(library / "a", target_is_directory=True)
    (library / "c").symlink_to(elsewhere, target_is_directory=True)
    assert found(library) == ["a/1.mp3", "c/2.mp3"]


@posix
@pytest.mark.parametrize("link", ["a-link.mp3", "z-link.mp3", "sub/link.mp3", "0/link.mp3"])
def test_a_link_to_a_file_of_the_walk_gives_no_second_one(link: str, tmp_path: Path) -> None:
    tree(tmp_path, "m/song.mp3", "0/x.mp3", "sub/y.mp3")
    (tmp_path / link).symlink_to(tmp_path / "m/song.mp3")
    real = [os.path.realpath(path) for path in files.walk([tmp_path]) if isinstance(path, Path)]
    assert sorted(real) == sorted(
        os.path.realpath(tmp_path / name) for name in ("m/song.mp3", "0/x.mp3", "sub/y.mp3")
    )


@posix
def test_links_to_a_file_the_walk_would_not_find_give_it_once(tmp_path: Path) -> None:
    tree(tmp_path, ".store/0af3", "disk/2.mp3")
    library = tree(tmp_path / "library", "x.mp3")
    for name, target in [
        ("1.mp3", ".store/0af3"),
        ("2.mp3", ".store/0af3"),
        ("3.mp3", "disk/2.mp3"),
    ]:
        (library / name).symlink_to(tmp_path / target)
    assert found(library) == ["1.mp3", "3.mp3", "x.mp3"]


@posix
def test_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    tree(tmp_path, "1.mp3")
    os.link(tmp_path / "1.mp3", tmp_path / "2.mp3")
    assert found(tmp_path) == ["1.mp3", "2.mp3"]
    assert found(tmp_path / "1.mp3", tmp_path) == ["1.mp3", "2.mp3"]


@posix
@not_root
def test_a_folder_that_may_not_be_listed_is_reported_and_passed(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.mp3", "b/2.mp3", "c/3.mp3")
    (tmp_path / "b").chmod(0)
    try:
        assert found(tmp_path) == ["a/1.mp3", f"permission: {tmp_path / 'b'}", "c/3.mp3"]
    finally:
        (tmp_path / "b").chmod(0o755)


def test_a_folder_that_fails_in_the_middle_is_reported_and_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a/1.mp3", "b/2.mp3", "c/3.mp3")
    scandir = os.scandir

    def failing(folder: Path) -> object:
        if folder == tmp_path / "b":
            raise PermissionError(13, "Permission denied")
        if folder == tmp_path / "c":
            raise OSError(5, "Input/output error")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", failing)
    errors = [error for error in files.walk([tmp_path]) if isinstance(error, FileError)]
    assert [(error.path.name, error.code) for error in errors] == [("b", "permission"), ("c", "io")]
    assert str(errors[0]).endswith(
        "b: the folder cannot be listed: permission denied"
        " (check its permissions and those of its folder)"
    )
    assert "cannot be listed: input/output error" in str(errors[1])
    assert found(tmp_path)[0] == "a/1.mp3"


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow only UTF-8")
def test_names_that_are_not_utf_8_are_walked_like_all_others(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102
    for name in (b"\xff\xfe.mp3", b"plain.mp3"):
        Path(os.fsdecode(folder + b"/" + name)).touch()
    walked = [os.fsencode(path) for path in files.walk([tmp_path]) if isinstance(path, Path)]
    assert walked == [folder + b"/plain.mp3", folder + b"/\xff\xfe.mp3"]
    assert found(tmp_path, exclude=("*.mp3",)) == []


@posix
def test_pipes_and_broken_links_are_left_to_whoever_opens_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "broken.mp3").symlink_to("nowhere")
    (tmp_path / "renamed.mp3").symlink_to("as it was called.mp3")
    assert found(tmp_path) == ["broken.mp3", "pipe.mp3", "renamed.mp3"]


def test_the_walk_is_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a/1.mp3", "b/2.mp3")
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: listed.append(folder) or scandir(folder))
    walking = files.walk([tmp_path])
    assert listed == []
    assert next(walking) == tmp_path / "a/1.mp3"
    assert listed == [tmp_path, tmp_path / "a"]


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / f"{folder:02}").mkdir()
        for file in range(100):
            (tmp_path / f"{folder:02}" / f"{file:03}.mp3").touch()
    peaks = []
    for _ in range(2):  # once the table of names that Python keeps may grow, at any time
        tracemalloc.start()
        try:
            n_files = sum(1 for _ in files.walk([tmp_path]))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert n_files == 2000
    assert min(peaks) < 150_000, "75 bytes per file would be more than one folder of 100 at a time"


@pytest.mark.parametrize(
    ("data", "null", "expected"),
    [
        (b"a.mp3\nb c.mp3\n", False, [b"a.mp3", b"b c.mp3"]),
        (b"a.mp3\nb.mp3", False, [b"a.mp3", b"b.mp3"]),
        (b"a.mp3\r\n\r\n\nb.mp3\r\n", False, [b"a.mp3", b"b.mp3"]),
        (b"\xef\xbb\xbfa.mp3\n", False, [b"a.mp3"]),
        (b" a.mp3 \n", False, [b" a.mp3 "]),
        (b"-x.mp3\n", False, [b"-x.mp3"]),
        (b"a.mp3\0b\nc.mp3\0\0", True, [b"a.mp3", b"b\nc.mp3"]),
        (b"a.mp3\0b.mp3", True, [b"a.mp3", b"b.mp3"]),
        (b"a\r\0", True, [b"a\r"]),
        (b"", False, []),
        (b"", True, []),
    ],
)
def test_lists(data: bytes, null: bool, expected: list[bytes]) -> None:
    paths = list(files.read_list(io.BytesIO(data), null=null))
    assert [os.fsencode(path) for path in paths] == expected


@posix
@pytest.mark.parametrize("null", [False, True])
def test_lists_hold_names_that_are_not_utf_8(null: bool) -> None:
    data = b"caf\xe9.mp3" + (b"\0" if null else b"\n")
    (path,) = files.read_list(io.BytesIO(data), null=null)
    assert os.fsencode(path) == b"caf\xe9.mp3"


def test_a_long_list_of_zeros_is_cut_right_across_reads() -> None:
    names = [f"{i:05}/{'x' * (i % 50)}.mp3".encode() for i in range(5000)]
    read = files.read_list(io.BytesIO(b"\0".join(names)), null=True)
    assert [os.fsencode(path) for path in read] == names


@posix
@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_a_list_is_read_as_it_comes(end: bytes) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream, os.fdopen(writer, "wb", buffering=0) as out:
        out.write(b"first.mp3" + end)
        listed = files.read_list(stream, null=end == b"\0")
        assert next(listed) == Path("first.mp3")  # would hang if it waited for more
