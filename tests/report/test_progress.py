"""The line at the foot of the terminal, and lines now and then elsewhere."""

from __future__ import annotations

import itertools
from pathlib import Path

from outcomes import PLANNED, Clock, Pipe, Screen, of, tally, told

from musictag.outcome import Outcome
from musictag.report.progress import Bar, Progress, TrackCount
from musictag.report.scan import Report
from musictag.report.tally import Tally


def bar(counts: Tally, total: int | None, width: int = 79) -> str:
    counter = TrackCount(counts, None)
    counter._total = total
    line = Bar(Screen(), counter).line(width)
    assert line is not None
    return line.plain


def test_the_bar_says_how_far_how_fast_and_how_long_still() -> None:
    counts = tally(*[(1, of("planned", 240))] * 10)
    assert bar(counts, 40) == (
        "━━━━━━━━━━━━━━━━━   10 of 40 tracks   1.0 tracks/s   240× real time   30 s left"
    )


def test_while_the_total_is_unknown_there_is_no_bar_and_no_time_left() -> None:
    counts = tally(*[(1, of("planned", 240))] * 10)
    assert bar(counts, None) == "10 tracks   1.0 tracks/s   240× real time"


def test_a_long_track_moves_the_bar_while_it_is_decoded() -> None:
    clock = Clock()
    counts = Tally(clock)
    for _ in range(30):
        clock.now_s += 1
        counts.decoded(Path("a"), 29 * 12, whole=False)
    assert bar(counts, 3) == (
        "━━━━━━━━━━━━━━━━━   0 of 3 tracks   2.9 hours decoded   348× real time"
    )
    clock.now_s += 1
    counts.add(of("planned", 10_000))
    assert counts.decoded_s == counts.music_s == 10_000, "segments overlap"
    assert "1 of 3 tracks   2.8 hours decoded   322× real time" in bar(counts, 3)


def test_the_bar_fills_with_every_segment_and_counts_tracks_as_they_are_decoded() -> None:
    """Outcomes come by batches, of a dozen tracks at once."""
    clock, n = Clock(), 20
    counts = Tally(clock)
    counter = TrackCount(counts, None)
    counter._total = n
    fills, numbers = [0.0], [0]
    for i in range(n):
        for second in range(29, 233, 29):
            clock.now_s += 0.2
            counts.decoded(Path(f"{i}"), 29, whole=second == 232)
            fills.append(counter().done)
            numbers.append(counts.n_decoded)
        if i % 10 == 9:
            for k in range(i - 9, i + 1):
                counts.add(Outcome(Path(f"{k}"), "planned", duration_s=232))
                fills.append(counter().done)
                numbers.append(counts.n_decoded)
    steps = [after - before for before, after in itertools.pairwise(fills)]
    assert min(steps) >= 0
    assert max(steps) < 0.25
    assert fills[1] > 0.1
    assert max(after - before for before, after in itertools.pairwise(numbers)) == 1
    assert (fills[-1], numbers[-1]) == (n, n)


def test_the_end_of_a_scan_says_what_it_waits_for() -> None:
    counts = tally((1, of("planned", 240)))
    for name in "bc":
        counts.decoded(Path(name), 240, whole=True)
    assert "3 of 3 tracks   hearing the last of them" in bar(counts, 3)


def test_the_line_is_there_from_the_start() -> None:
    stderr = Screen()
    with Report("jsonl", ("GENRE",), stdout=Pipe(), stderr=stderr):
        assert "0 tracks" in stderr.getvalue()


def test_the_bar_keeps_to_ascii_where_the_terminal_has_nothing_else() -> None:
    class Old(Screen):
        encoding = "latin-1"

    counter = TrackCount(tally(*[(1, of("planned", 240))] * 10), None)
    counter._total = 40
    line = Bar(Old(), counter).line(79)
    assert line is not None
    assert line.plain.startswith("####")
    assert line.plain.split("   ")[0].isascii()


def test_music_decoded_is_told_of_on_a_terminal_only() -> None:
    for stderr, is_told in ((Screen(), True), (Pipe(), False)):
        with Report("jsonl", ("GENRE",), stdout=Pipe(), stderr=stderr) as teller:
            for _ in range(3):
                teller.decoded(PLANNED.path, 29 * 60, False)
                teller._bar._drawn_s = 0  # a moment ago
            teller.add(PLANNED)
        assert ("87 min decoded" in stderr.getvalue()) == is_told
        assert "planned" in stderr.getvalue()


def test_the_bar_never_breaks_its_line() -> None:
    counts = tally(*[(1, of("planned", 240))] * 10)
    for width in range(1, 120):
        assert len(bar(counts, 40, width)) <= width


def test_a_bar_only_on_a_terminal() -> None:
    assert "\r" in told([PLANNED], terminal=True)[1]
    assert "\r" not in told([PLANNED])[1]


def test_a_bar_is_wiped_before_a_line_and_at_the_end() -> None:
    stderr = Screen()
    with Report("jsonl", ("GENRE",), stdout=Pipe(), stderr=stderr) as teller:
        teller.say("first")
        teller.say("second")
    assert "tracks\r\x1b[2Ksecond\n" in stderr.getvalue()
    assert stderr.getvalue().endswith("tracks\r\x1b[2KNo tracks found.\n")


def test_work_is_told_of_now_and_then_where_no_line_can_be_drawn_again() -> None:
    stderr, clock = Pipe(), Clock()
    with Progress(stderr, clock) as progress:
        for done in range(8, 201, 8):
            clock.now_s += 1
            progress.step("heard", done, 200, "examples")
    assert stderr.getvalue().splitlines() == [
        "heard: 8 of 200 examples",
        "heard: 88 of 200 examples   8.0 examples/s   14 s left",
        "heard: 168 of 200 examples   8.0 examples/s   4.0 s left",
        "heard: 200 of 200 examples   8.0 examples/s",
    ]


def test_on_a_terminal_work_is_one_line_at_its_foot_that_goes_when_all_is_done() -> None:
    stderr, clock = Screen(), Clock()
    with Progress(stderr, clock) as progress:
        progress.step("heard", 8, 2000, "examples")
        clock.now_s += 2
        progress.step("heard", 24, 2000, "examples")
        progress.say("a\nb")
        progress.step("heard", 2000, 2000, "examples")
        progress.say("end")
    *_, drawn, last = stderr.getvalue().split("\r\x1b[2K")
    assert "a\\nb\n" in stderr.getvalue()
    assert drawn.endswith("heard: 24 of 2,000 examples   8.0 examples/s   4 min 07 s left")
    assert last == "end\n"


def test_what_an_earlier_run_did_is_no_speed() -> None:
    stderr, clock = Pipe(), Clock()
    with Progress(stderr, clock) as progress:
        clock.now_s += 10
        progress.step("features", 1000, 2000, "examples")
        clock.now_s += 10
        progress.step("features", 1010, 2000, "examples")
        progress.step("more", 5, None, "MB")
    assert stderr.getvalue().splitlines()[1:] == [
        "features: 1,010 of 2,000 examples   1.0 examples/s   16 min 30 s left",
        "more: 5 MB",
    ]
