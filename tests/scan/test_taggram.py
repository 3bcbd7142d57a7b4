"""One track over time: where its segments start, the numbers, and the picture."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds

from musictag.audio.decoder import Decoder
from musictag.audio.track import Track
from musictag.config import Settings
from musictag.errors import AudioError, CheckpointError
from musictag.hearing.checkpoint import Checkpoint
from musictag.hearing.ear import Hearing
from musictag.outcome import Taggram
from musictag.report.taggram import draw_taggram
from musictag.scan import taggram
from musictag.vocabulary import magnatagatune

TAGS = ("rock", "slow", "no vocals")


def checkpoint_that_hears(rows: list[list[float]]) -> Checkpoint:
    """One row of probabilities per segment, in the order in which they come."""
    waiting = list(rows)

    class Ear:
        def hear(self, segments: Any) -> Hearing:
            rows = np.array([waiting.pop(0) for _ in segments], np.float32)
            return Hearing(rows, 2 * rows[:, :2])

    @dataclasses.dataclass(frozen=True)
    class Fake(Checkpoint):
        def load(self, device: object = "cpu", *, batch_size: int | None = None) -> Any:
            return Ear()

    vocabulary = magnatagatune().with_thresholds({"Rock": 0.4, "Slow": 0.4})
    return Fake("fake", Path(), {}, {}, TAGS, vocabulary, "", {})


def wav(path: Path, *parts: np.ndarray) -> Path:
    return sounds.write(path, "wav", np.concatenate(parts), 16_000)


def tone(seconds: float) -> np.ndarray:
    return sounds.tone(440, seconds, rate_hz=16_000, channels=1)


def starts(path: Path) -> list[float]:
    return [start_s for start_s, _ in Track(path).timed_segments()]


def test_segments_know_where_they_start_the_last_one_is_moved_back(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", sounds.noise(70, rate_hz=16_000, channels=1))
    timed = list(Track(path).timed_segments())
    assert [start_s for start_s, _ in timed] == [0, 29, 41]
    plain = list(Track(path).segments())
    for (_, ours), theirs in zip(timed, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_silent_segment_leaves_a_gap_in_time(tmp_path: Path) -> None:
    silence = sounds.silence(29, rate_hz=16_000, channels=1)
    path = wav(tmp_path / "a.wav", tone(29), silence, tone(29))
    assert starts(path) == [0, 58]


@pytest.mark.parametrize(("seconds", "expected"), [(5.0, [0]), (29.0, [0]), (58.0, [0, 29])])
def test_whole_segments_start_where_the_last_one_ended(
    tmp_path: Path, seconds: float, expected: list[float]
) -> None:
    assert starts(wav(tmp_path / "a.wav", tone(seconds))) == expected


def test_a_track_is_heard_segment_by_segment_and_decided_as_a_scan_would(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(58))
    made = checkpoint_that_hears([[0.9, 0.1, 0.5], [0.3, 0.1, 0.5]])
    heard = taggram.hear(path, made, Settings(device="cpu", batch_size=1))
    assert heard.starts_s == (0, 29)
    assert heard.probabilities["rock"] == pytest.approx(0.6)
    assert (heard.chosen["GENRE"], heard.chosen["MOOD"]) == (("Rock",), ())
    plain = json.loads(json.dumps(heard.to_json()))
    assert plain["duration"] == 58
    assert plain["segments"][1] == {
        "start": 29,
        "probabilities": {"rock": 0.3, "slow": 0.1, "no vocals": 0.5},
    }


def test_the_summary_of_a_track_is_the_mean_of_all_its_segments(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav", tone(87))
    made = checkpoint_that_hears([[0.25, 0.5, 0], [0.5, 0.5, 0], [0.75, 0.125, 0]])
    settings = Settings(device="cpu")
    with Decoder() as decoder:
        track = decoder.track(path)
        found, summary = taggram.heard(track, made, settings, made.load, batch_size=2)
    assert found.starts_s == (0, 29, 58)
    assert (summary.tolist(), summary.dtype) == ([1, 0.75], np.float32)


def test_a_file_that_is_none_needs_no_model(tmp_path: Path) -> None:
    made = checkpoint_that_hears([])
    for path in (tmp_path, tmp_path / "missing.mp3"):
        with pytest.raises(AudioError):
            taggram.hear(path, made, Settings(device="cuda:99"))
    silent = wav(tmp_path / "s.wav", sounds.silence(3, rate_hz=16_000, channels=1))
    with pytest.raises(AudioError, match="there is only silence in it"):
        taggram.hear(silent, made, Settings())


def test_a_model_that_hears_other_segments_is_refused(tmp_path: Path) -> None:
    other = dataclasses.replace(checkpoint_that_hears([]), front_end={"n_samples": 2**16})
    with pytest.raises(CheckpointError, match="hears segments of 65536 samples"):
        taggram.hear(wav(tmp_path / "a.wav", tone(3)), other, Settings(device="cpu"))


# -- the picture -----------------------------------------------------------------------------------


def picture(
    rows: list[tuple[float, ...]],
    *,
    starts_s: list[float] | None = None,
    encoding: str = "utf-8",
    **more: Any,
) -> list[str]:
    starts_s = starts_s or [29.0 * n for n in range(len(rows))]
    mean = np.mean(rows, axis=0).tolist()
    tags = TAGS if len(mean) == 3 else tuple(f"tag {k}" for k in range(len(mean)))
    given = Taggram(
        path=Path("/music/a\x1b[2Jb.mp3"),
        model="fake",
        duration_s=starts_s[-1] + 29,
        tags=tags,
        starts_s=tuple(starts_s),
        rows=tuple(rows),
        probabilities=dict(zip(tags, mean, strict=True)),
        chosen={"GENRE": ("Rock", "Pop"), "MOOD": ()},
        segment_s=29.0,
    )
    given = dataclasses.replace(given, **more)
    return draw_taggram(given, io.TextIOWrapper(io.BytesIO(), encoding))


def test_likelier_is_darker_and_time_goes_to_the_right() -> None:
    lines = picture([(0.05, 0.2, 0.5), (0.3, 0.2, 0.9)])
    assert lines[0] == "a\\x1b[2Jb.mp3, 0:58, heard by fake"
    assert lines[2:5] == [
        "no vocals ▓▓▓▓▓▓██████  0.70",
        "slow      ░░░░░░░░░░░░  0.20",
        "rock            ▒▒▒▒▒▒  0.17",
    ]
    assert lines[5:] == [
        "          0:00",
        "          ░ 0.1  ▒ 0.25  ▓ 0.5  █ 0.75 and more",
        "",
        "genre       Rock, Pop",
        "mood        –",
    ]


def test_silence_is_a_gap() -> None:
    lines = picture([(0.9, 0, 0), (0.9, 0, 0)], starts_s=[0, 58])
    assert lines[2] == "rock      ████    ████  0.90"


def test_an_encoding_without_blocks_gets_letters() -> None:
    lines = picture([(0.05, 0.2, 0.5), (0.3, 0.2, 0.9)], encoding="ascii")
    assert lines[2] == "no vocals ++++++######  0.70"
    "\n".join(lines).encode("ascii")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("n_segments", [1, 9, 400])
def test_it_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int, n_segments: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    random = np.random.default_rng(0)
    lines = picture([tuple(row) for row in random.random((n_segments, 50)).tolist()])
    bars = [line for line in lines if line.startswith("tag ")]
    assert len(bars) == 12
    assert max(map(len, [*bars, lines[14]])) <= width
    assert lines[14].split()[0] == "0:00"
