"""What a watch hears, when, and what it says, by a clock and events that follow a script."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from watched import LONG_AGO, Hearing, Script, watched

from musictag.watching import still
from musictag.watching.source import Told
from musictag.watching.watch import AGAIN_S, LOOK_S, Watch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Music").mkdir()
    (tmp_path / "Music" / "old.mp3").write_bytes(b"old")
    return tmp_path / "Music"


def put(path: Path, content: bytes = b"music") -> Callable[[], Told]:
    """A step: a program puts a file there, and the system reports it."""

    def step() -> Told:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return Told(files={path})

    return step


def nothing() -> None:
    """A step that only lets time pass."""


def heard(hearing: Hearing) -> list[list[str]]:
    return [names for _, names in hearing.batches]


# ---------------------------------------------------------------- what is new


def test_everything_is_heard_at_the_start_and_then_what_comes(root: Path) -> None:
    hearing, said = watched(root, script=Script(at_10=put(root / "new.mp3"), at_20=nothing))
    assert heard(hearing) == [["old.mp3"], ["new.mp3"]]
    assert said == [f"watching {root}"]


def test_a_file_is_heard_when_it_has_been_still_for_some_seconds(root: Path) -> None:
    song = root / "new.mp3"
    steps = {f"at_{n}": put(song, b"x" * n) for n in (10, 13, 16, 19)}
    hearing, _ = watched(root, script=Script(**steps, at_40=nothing))
    assert hearing.batches[1:] == [(24, ["new.mp3"])]


def test_a_file_that_grows_without_events_is_waited_for(root: Path) -> None:
    song = root / "new.mp3"

    def grow() -> None:
        song.write_bytes(b"more music")

    script = Script(at_10=put(song), at_14=grow, at_40=nothing)
    hearing, _ = watched(root, script=script)
    assert hearing.batches[1:] == [(20, ["new.mp3"])], "seen at 15, still until 20"


def test_events_of_a_file_that_does_not_change_do_not_delay_it(root: Path) -> None:
    touched = Told(files={root / "new.mp3"})
    steps = {f"at_{n}": lambda: touched for n in (12, 14, 14.5)}
    script = Script(at_10=put(root / "new.mp3"), **steps, at_40=nothing)
    hearing, _ = watched(root, script=script)
    assert hearing.batches[1:] == [(15, ["new.mp3"])]


def test_files_that_come_together_are_one_batch(root: Path) -> None:
    steps = {f"at_{10 + 4 * n}": put(root / "Album" / f"{n}.mp3") for n in range(4)}
    hearing, _ = watched(root, script=Script(**steps, at_60=nothing))
    assert hearing.batches[1:] == [(27, [f"{n}.mp3" for n in range(4)])]


def test_a_file_that_never_stops_growing_does_not_hold_up_the_others(root: Path) -> None:
    steps = {f"at_{n}": put(root / "radio.mp3", b"x" * n) for n in range(10, 400, 4)}
    script = Script(at_9=put(root / "new.mp3"), **steps)
    hearing, _ = watched(root, script=script)
    ((at_s, names),) = hearing.batches[1:]
    assert names == ["new.mp3"]
    assert at_s == pytest.approx(14 + still.GATHER_S, abs=1)


def test_a_file_that_is_still_being_copied_when_the_watch_begins_is_waited_for(root: Path) -> None:
    os.utime(root / "old.mp3", (1, 1))
    hearing, _ = watched(root, script=Script(at_20=nothing), time_s=time.time)
    assert hearing.batches == [(5, ["old.mp3"])], "its ctime is of now"


def test_an_event_of_a_file_that_is_as_it_was_wakes_nobody(root: Path) -> None:
    told = Told(files={root / "old.mp3"})
    hearing, _ = watched(root, script=Script(at_10=lambda: told, at_30=nothing))
    assert heard(hearing) == [["old.mp3"]]


def test_its_own_writes_do_not_wake_it(root: Path) -> None:
    script = Script(at_10=lambda: Told(files={root / "old.mp3"}), at_30=nothing)
    hearing = Hearing(script)
    hearing.writes = True
    watched(root, script=script, hearing=hearing)
    assert heard(hearing) == [["old.mp3"]]
    assert (root / "old.mp3").read_bytes() == b"oldtags"


def test_a_file_that_somebody_changes_is_heard_again(root: Path) -> None:
    hearing, _ = watched(root, script=Script(at_10=put(root / "old.mp3", b"new"), at_30=nothing))
    assert heard(hearing) == [["old.mp3"], ["old.mp3"]]


def test_a_renamed_file_is_heard_under_its_new_name(root: Path) -> None:
    def rename() -> Told:
        (root / "old.mp3").rename(root / "new.mp3")
        return Told(files={root / "old.mp3", root / "new.mp3"})

    hearing, _ = watched(root, script=Script(at_10=rename, at_30=nothing))
    assert heard(hearing) == [["old.mp3"], ["new.mp3"]]


def test_a_folder_that_is_moved_in_is_looked_through(root: Path) -> None:
    def move() -> Told:
        (root.parent / "Album" / "CD1").mkdir(parents=True)
        (root.parent / "Album" / "CD1" / "1.mp3").write_bytes(b"music")
        (root.parent / "Album").rename(root / "Album")
        return Told(folders={root / "Album"})

    hearing, _ = watched(root, script=Script(at_10=move, at_30=nothing))
    assert heard(hearing) == [["old.mp3"], ["1.mp3"]]


@pytest.mark.parametrize(
    "name", ["cover.jpg", ".hidden.mp3", ".new.mp3.musictag-1", "@eaDir/new.mp3", "Podcasts/1.mp3"]
)
def test_what_a_scan_leaves_out_is_left_out(root: Path, name: str) -> None:
    script = Script(at_10=put(root / name), at_30=nothing)
    hearing, _ = watched(root, script=script, exclude=("Podcasts",))
    assert heard(hearing) == [["old.mp3"]]


def test_when_too_much_has_changed_everything_is_looked_at(root: Path) -> None:
    def much() -> Told:
        (root / "new.mp3").write_bytes(b"music")
        return Told(everything=True)

    hearing, _ = watched(root, script=Script(at_10=much, at_30=nothing))
    assert heard(hearing) == [["old.mp3"], ["new.mp3"]], "and the old one is known"


def test_a_file_that_is_deleted_before_it_is_heard_is_nobodys_business(root: Path) -> None:
    script = Script(at_10=put(root / "new.mp3"), at_12=(root / "new.mp3").unlink, at_30=nothing)
    hearing, said = watched(root, script=script)
    assert heard(hearing) == [["old.mp3"]]
    assert len(said) == 1


def test_what_came_and_went_leaves_nothing_behind(root: Path) -> None:
    def gone(path: Path) -> Callable[[], Told]:
        return lambda: (path.unlink(), Told(files={path}))[1]

    steps = {}
    for n in range(20):
        steps[f"at_{20 * n + 10}"] = put(root / f"{n}.mp3")
        steps[f"at_{20 * n + 20}"] = gone(root / f"{n}.mp3")
    script = Script(**steps)
    hearing = Hearing(script)
    hearing.failures = {"7.mp3": "io"}
    watch = Watch([root], script, hearing, settle_s=5, clock=script.clock, time=lambda: LONG_AGO)
    with pytest.raises(KeyboardInterrupt):
        watch.run()
    assert len(hearing.batches) == 21
    assert len(watch._seen) == 1
    assert len(watch._changing) == 0
    assert len(watch._failing) <= 1


def test_a_file_that_is_gone_when_its_turn_comes_is_no_failure(root: Path) -> None:
    for n in range(3):
        (root / f"{n}.mp3").write_bytes(b"music")
    script = Script(at_30=nothing)
    hearing = Hearing(script)
    hearing.meanwhile = lambda path: path.name == "1.mp3" and path.unlink()
    watched(root, script=script, hearing=hearing)
    assert [name for name, _ in hearing.told] == ["0.mp3", "2.mp3", "old.mp3"]


# ---------------------------------------------------------------- failures


def test_a_broken_file_is_told_once_until_it_changes(root: Path) -> None:
    everything = Told(everything=True)
    script = Script(at_10=lambda: everything, at_20=put(root / "old.mp3", b"mended"), at_30=nothing)
    hearing = Hearing(script)
    hearing.failures = {"old.mp3": "corrupt"}
    watched(root, script=script, hearing=hearing)
    assert hearing.told == [("old.mp3", "failed")] * 2
    assert [at_s for at_s, _ in hearing.batches] == [0, 25]


def test_a_failure_that_may_pass_is_told_once_and_tried_again(root: Path) -> None:
    script = Script(at_1500=nothing, at_3000=nothing)
    hearing = Hearing(script)
    hearing.failures = {"old.mp3": "no_space"}
    hearing.meanwhile = lambda _: hearing.failures and len(hearing.batches) == 3 and mend()

    def mend() -> None:
        hearing.failures = {}

    watched(root, script=script, hearing=hearing)
    assert hearing.told == [("old.mp3", "failed"), ("old.mp3", "unchanged")]
    first, second, third = (at_s for at_s, _ in hearing.batches)
    assert second - first >= AGAIN_S
    assert third - second >= AGAIN_S


def test_a_file_that_changes_while_it_is_heard_is_heard_again(root: Path) -> None:
    script = Script(at_30=nothing)
    hearing = Hearing(script)
    hearing.failures = {"old.mp3": "changed"}
    hearing.meanwhile = lambda _: len(hearing.batches) == 2 and hearing.failures.clear()
    watched(root, script=script, hearing=hearing)
    assert hearing.told == [("old.mp3", "unchanged")]
    assert [at_s for at_s, _ in hearing.batches] == [0, 5]


def test_a_file_that_changes_unnoticed_while_it_is_heard_is_heard_again(root: Path) -> None:
    script = Script(at_10=lambda: Told(files={root / "old.mp3"}), at_30=nothing)
    hearing = Hearing(script)
    hearing.meanwhile = lambda path: len(hearing.batches) == 1 and path.write_bytes(b"other")
    watched(root, script=script, hearing=hearing)
    assert heard(hearing) == [["old.mp3"], ["old.mp3"]]


# ---------------------------------------------------------------- folders that go away


def gone(root: Path) -> None:
    root.rename(root.with_name("elsewhere"))


def emptied(root: Path) -> None:
    gone(root)
    root.mkdir()


def back(root: Path) -> None:
    if root.exists():
        root.rmdir()
    root.with_name("elsewhere").rename(root)


@pytest.mark.parametrize(("go", "why"), [(gone, "it is not there"), (emptied, "it is empty")])
def test_a_share_that_goes_away_is_said_once_and_waited_for(
    root: Path, go: Callable[[Path], None], why: str
) -> None:
    def back_with_more() -> None:
        back(root)
        (root / "new.mp3").write_bytes(b"music")

    script = Script(at_10=lambda: go(root), at_100=back_with_more, at_120=nothing)
    hearing, said = watched(root, script=script)
    assert heard(hearing) == [["old.mp3"], ["new.mp3"]], "what was there before is known"
    assert said == [
        f"watching {root}",
        f"{root}: {why}; waiting for it",
        f"{root}: it is back",
    ]
    assert (script.begun, script.ended) == ([root, root], [root])


def test_a_folder_may_be_missing_at_the_start(root: Path) -> None:
    gone(root)
    script = Script(at_100=lambda: back(root), at_120=nothing)
    hearing, said = watched(root, script=script)
    assert heard(hearing) == [["old.mp3"]]
    assert said == [
        f"{root}: it is not there; waiting for it",
        f"{root}: it is back",
        f"watching {root}",
    ]


def test_one_folder_that_is_away_does_not_stop_the_other(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "Other"
    script = Script(at_10=put(root / "new.mp3"), at_30=nothing)
    hearing, said = watched(root, other, script=script)
    assert heard(hearing) == [["old.mp3"], ["new.mp3"]]
    assert f"{other}: it is not there; waiting for it" in said


def test_a_share_that_goes_away_in_the_middle_of_a_batch_makes_no_failures(root: Path) -> None:
    for n in range(5):
        (root / f"{n}.mp3").write_bytes(b"music")
    script = Script(at_50=lambda: back(root), at_100=nothing)
    hearing = Hearing(script)
    hearing.meanwhile = lambda path: path.name == "2.mp3" and root.exists() and gone(root)
    watched(root, script=script, hearing=hearing)
    names = ["0.mp3", "1.mp3", "2.mp3", "3.mp3", "4.mp3", "old.mp3"]
    assert hearing.told[:2] == [("0.mp3", "unchanged"), ("1.mp3", "unchanged")]
    assert heard(hearing)[0] == names[:3]
    assert not [name for name, status in hearing.told if status == "failed"]


def test_a_share_that_is_back_at_once_loses_nothing(root: Path) -> None:
    """It went in the middle of a batch, and nobody looked at the folder before it was back."""
    script = Script(at_30=nothing)
    hearing = Hearing(script)
    hearing.meanwhile = lambda _: len(hearing.batches) == 1 and gone(root)
    hearing.afterwards = lambda: root.exists() or back(root)
    watched(root, script=script, hearing=hearing)
    assert hearing.told == [("old.mp3", "unchanged")]


def test_files_that_were_changing_on_a_share_that_went_away_are_looked_at_again(
    root: Path,
) -> None:
    script = Script(
        at_10=put(root / "new.mp3"),
        at_11=lambda: gone(root),
        at_60=lambda: back(root),
        at_90=nothing,
    )
    hearing, _ = watched(root, script=script)
    assert heard(hearing) == [["old.mp3"], ["new.mp3"]]


def test_another_disk_in_the_same_place_is_looked_at(root: Path) -> None:
    def swap() -> None:
        gone(root)
        root.mkdir()
        (root / "other.mp3").write_bytes(b"music")

    script = Script(at_10=swap, at_30=nothing)
    hearing, _ = watched(root, script=script)
    assert heard(hearing) == [["old.mp3"], ["other.mp3"]]
    assert script.begun == [root, root]


def test_a_folder_that_is_deleted_and_made_again_is_watched_again(root: Path) -> None:
    def again() -> Told:
        shutil.rmtree(root)
        root.mkdir()
        (root / "other.mp3").write_bytes(b"music")
        return Told(folders={root})  # its number may be that of the old one

    script = Script(at_10=again, at_30=nothing)
    hearing, _ = watched(root, script=script)
    assert script.begun == [root, root]
    assert heard(hearing)[1] == ["other.mp3"]


def test_between_two_looks_at_the_folders_time_passes(root: Path) -> None:
    script = Script(at_60=nothing)
    waits: list[float] = []
    wait = script.wait
    script.wait = lambda seconds: (waits.append(seconds), wait(seconds))[1]  # type: ignore[method-assign]
    watched(root, script=script)
    assert waits == [LOOK_S] * 13
