"""The parts of a watch: files that are still, folders that are there, locks, clocks, events."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from waits import WAIT_S

from musictag import files
from musictag.errors import UsageError
from musictag.watching.roots import Locks, Root, check
from musictag.watching.seen import Seen, state_of
from musictag.watching.source import Poll, Told
from musictag.watching.still import HELD_S, Changing, is_open_to_write

# ---------------------------------------------------------------- files


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"music")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_linux_tells_whether_a_file_is_open_to_write(song: Path) -> None:
    assert not is_open_to_write(song)
    with song.open("rb"):
        assert not is_open_to_write(song)
    with song.open("ab"):
        assert is_open_to_write(song)
    assert not is_open_to_write(song)
    assert not is_open_to_write(song.with_name("missing"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_asking_about_a_file_ends_no_program_however_often_others_open_it(song: Path) -> None:
    writer = "import sys\nwhile True: open(sys.argv[1], 'ab').close()"
    other = subprocess.Popen([sys.executable, "-c", writer, os.fspath(song)])
    try:
        answers = {is_open_to_write(song) for _ in range(2000)}
        assert answers <= {True, False}
        assert other.poll() is None
    finally:
        other.kill()
        other.wait(WAIT_S)


@pytest.mark.parametrize(("patience_s", "ready"), [(30, False), (HELD_S + 10, True)])
def test_a_file_that_is_open_to_write_waits_but_not_for_ever(
    song: Path, patience_s: float, ready: bool
) -> None:
    now_s = 0.0
    changing = Changing(5, lambda: now_s, is_held=lambda _: True)
    changing.touch(song, state_of(song))
    while now_s < patience_s:
        now_s += 5
        changing.look()
    assert changing.take() == ([song] if ready else [])


def test_a_file_that_changes_after_it_was_ready_waits_again(song: Path) -> None:
    now_s = 0.0
    changing = Changing(5, lambda: now_s, is_held=lambda _: False)
    changing.touch(song, state_of(song))
    now_s = 5
    changing.look()
    song.write_bytes(b"more music")
    assert changing.take() == []
    assert len(changing) == 1


def test_what_is_dealt_with_is_known_until_it_changes(song: Path) -> None:
    seen = Seen()
    assert not seen.has(song, state_of(song))
    seen.note(song, state_of(song))
    assert seen.has(song, state_of(song))
    song.write_bytes(b"more music")
    assert not seen.has(song, state_of(song))


def test_a_time_that_is_put_back_does_not_hide_a_change(song: Path) -> None:
    before, stat = state_of(song), song.stat()
    time.sleep(0.02)  # the system's clock for files ticks so often
    song.write_bytes(b"MUSIC")
    os.utime(song, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert song.stat().st_mtime_ns == stat.st_mtime_ns
    assert state_of(song) != before


def test_a_look_at_everything_forgets_what_is_gone(tmp_path: Path) -> None:
    seen = Seen()
    stays, late, goes = (tmp_path / name for name in ("stays", "late", "goes"))
    for path in (stays, late, goes):
        seen.note(path, 1)
    seen.begin()
    assert seen.has(stays, 1)
    seen.begin()  # the first look did not end
    assert seen.has(stays, 1)
    assert seen.has(late, 1)
    seen.end()
    assert seen.has(stays, 1)
    assert seen.has(late, 1)
    assert not seen.has(goes, 1)


def test_a_file_is_remembered_in_some_130_bytes() -> None:
    """docs/watch.md says so."""
    seen, n = Seen(), 50_000
    names = [Path(f"/music/{number}.mp3") for number in range(n)]
    for name in names:
        os.fspath(name)  # which a path keeps
    tracemalloc.start()
    try:
        for number, name in enumerate(names):
            seen.note(name, hash((number, "state")))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken / n < 140


@pytest.mark.parametrize(
    "name",
    [
        *("a.mp3", "B/a.FLAC", "B/C/a.ogg", "a.txt", ".a.mp3", "...And Justice/a.mp3"),
        *("@eaDir/a.mp3", "B/.hidden/a.mp3", "kept out/a.mp3", "kept out/B/a.mp3"),
        *("Podcasts/a.mp3", "B/live/a.mp3", "B/Podcasts/a.mp3"),
    ],
)
def test_a_file_belongs_to_a_folder_as_a_walk_says(tmp_path: Path, name: str) -> None:
    (tmp_path / "kept out").mkdir()
    (tmp_path / "kept out" / files.MARKER).touch()
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    exclude = ["Podcasts", "*/live/*"]
    walked = path in set(files.walk([tmp_path], exclude=exclude))
    assert files.belongs(path, tmp_path, exclude=exclude) == walked
    assert not files.belongs(path, tmp_path / "elsewhere")


# ---------------------------------------------------------------- folders


def test_an_empty_folder_counts_as_away(tmp_path: Path) -> None:
    root = Root(tmp_path / "share")
    assert not root.look()
    root.path.mkdir()
    (root.path / ".keep").touch()
    assert not root.look()
    assert root.away == "it is empty"
    (root.path / "a.mp3").touch()
    assert root.look(), "it has come"
    assert not root.look(), "it is still the same"
    root.doubt()
    assert root.look()


def test_folders_inside_others_are_watched_once(tmp_path: Path) -> None:
    inner, other = tmp_path / "Music" / "Abba", tmp_path / "Other"
    inner.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(inner)
    music = tmp_path / "Music"
    assert check([inner, music, link, music, other]) == [music, other]


def test_a_file_is_no_folder_to_watch(song: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        check([song])
    with pytest.raises(UsageError, match="nothing to watch"):
        check([])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("Music", "Music", "Music: another musictag is watching it"),
        ("Music", "Music/Abba", "Abba: another musictag is watching .*Music, which is around it"),
        ("Music/Abba", "Music", "Music: another musictag is watching .*Abba, which is inside it"),
        ("Music", "Musical", None),
    ],
)
def test_a_folder_is_watched_by_one_program(
    tmp_path: Path, first: str, second: str, message: str | None
) -> None:
    one, other = Locks(tmp_path / "locks"), Locks(tmp_path / "locks")
    one.take([tmp_path / first])
    if message is None:
        other.take([tmp_path / second])
    else:
        with pytest.raises(UsageError, match=message):
            other.take([tmp_path / second])
    other.release()
    one.release()
    Locks(tmp_path / "locks").take([tmp_path / second])


def test_a_lock_that_cannot_be_made_is_a_sentence(song: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.mp3"):
        Locks(song / "locks").take([song.parent])


# ---------------------------------------------------------------- what wakes it


def test_a_clock_says_that_everything_may_have_changed(tmp_path: Path) -> None:
    now_s = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    poll = Poll(60, clock=lambda: now_s, sleep=sleep)
    poll.begin(tmp_path)
    told = []
    while now_s < 130:
        if poll.wait(7).everything:
            told.append(now_s)
    poll.end(tmp_path)
    assert told == [60, 120]


def told_of(events: object, enough: Callable[[Told], bool]) -> Told:
    """Everything that is told until it is enough."""
    told = Told()
    deadline_s = time.monotonic() + WAIT_S
    while not enough(told):
        assert time.monotonic() < deadline_s, told
        more = events.wait(0.05)  # type: ignore[attr-defined]
        told.files |= more.files
        told.folders |= more.folders
        told.everything |= more.everything
    return told


def test_the_system_reports_what_changes(tmp_path: Path) -> None:
    pytest.importorskip("watchdog")
    from musictag.watching.system import Events  # noqa: PLC0415  # needs watchdog

    root = tmp_path / "Music"
    root.mkdir()
    events = Events()
    events.begin(root)
    (root / "Album").mkdir()
    song = root / "Album" / "a.mp3"
    told_of(events, lambda told: root / "Album" in told.folders)
    song.write_bytes(b"music")
    told_of(events, lambda told: song in told.files)
    song.rename(root / "b.mp3")
    told_of(events, lambda told: {song, root / "b.mp3"} <= told.files)
    (root / "b.mp3").read_bytes()
    (root / "c.mp3").touch()
    told = told_of(events, lambda told: root / "c.mp3" in told.files)
    assert root not in told.folders, "that something in it changes is no news of the folder"
    events.end(root)
    events.end(root)


def test_a_flood_of_events_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watchdog")
    from musictag.watching import system  # noqa: PLC0415  # needs watchdog

    monkeypatch.setattr(system, "MOST", 10)
    events = system.Events()
    events.begin(tmp_path)
    for number in range(30):
        (tmp_path / f"{number}.mp3").touch()
    told_of(events, lambda told: told.everything)


def test_too_few_watches_are_a_sentence_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("watchdog")
    from musictag.watching.system import Events  # noqa: PLC0415  # needs watchdog

    events = Events()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(events._observer, "schedule", refuse)
    with pytest.raises(UsageError, match=r"max_user_watches.*--poll"):
        events.begin(tmp_path)
