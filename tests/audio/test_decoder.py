"""Decoding in another process: the same music, and what the process may suffer costs one file."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sounds
from ears import FakeEar
from waits import WAIT_S, join

from musictag.audio import decoder, spawn, track, wire
from musictag.audio.decoder import Decoder
from musictag.audio.digest import payload_digest
from musictag.audio.track import Track
from musictag.config import Settings
from musictag.errors import AudioError, MusictagError
from musictag.outcome import Outcome, Problem
from musictag.scan import pipeline, taggram
from musictag.stores.cache import Cache

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

ILLNESS = """
import os, signal, sys, time
from musictag.audio import digest, wire, worker
from musictag.audio.samples import SEGMENT_LENGTH
from musictag.audio.track import Track

def infected(healthy):
    def work(self, **options):
        path = getattr(self, "path", self)
        if {where}:
            {what}
        return healthy(self, **options)
    return work

Track.segments = infected(Track.segments)
Track.timed_segments = infected(Track.timed_segments)
digest.payload_digest = infected(digest.payload_digest)
"""
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
ILL_FILE = "'ill' in path.name"


@pytest.fixture
def infect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on decoding processes do `what` where `where` is so."""

    def infect(what: str, *, where: str = ILL_FILE) -> None:
        illness = ILLNESS.format(where=where, what=what)
        python = f"import sys; sys.path[:] = {sys.path!a}\n{illness}\nworker.work()"
        monkeypatch.setattr(spawn, "_command", lambda: [sys.executable, "-I", "-c", python])

    return infect


@pytest.fixture
def one() -> Iterator[Decoder]:
    with Decoder() as one:
        yield one


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return sounds.make(tmp_path, "wav", seconds=2)


@pytest.fixture
def ill(tmp_path: Path) -> Path:
    return sounds.make(tmp_path, "wav", name="ill.wav", seconds=2, seed=1)


def code_of(one: Decoder, path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        list(one.track(path).segments())
    assert caught.value.path == path
    return caught.value.code


def n_segments(one: Decoder, path: Path) -> int:
    return len(list(one.track(path).segments()))


# ---------------------------------------------------------------- the same music


def without_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn, "_shared_memory", lambda: None)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("n_segments", [None, 1, 2])
def test_segments_are_those_of_the_track(
    one: Decoder,
    tmp_path: Path,
    n_segments: int | None,
    shared: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not shared:
        without_shared_memory(monkeypatch)
    path = sounds.write(tmp_path / "a.mp3", "mp3", sounds.staircase(100), 16_000)
    here = Track(path, n_segments=n_segments)
    there = one.track(path, n_segments=n_segments)
    for ours, theirs in zip(here.segments(), there.segments(), strict=True):
        assert np.array_equal(ours, theirs)
        theirs[:] = 0  # the caller's own
    assert (there.duration_s, there.decoder) == (here.duration_s, here.decoder)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere segments come in the pipe")
def test_what_waits_in_shared_memory_is_not_written_over(one: Decoder, tmp_path: Path) -> None:
    """However slowly it is taken; and there is room for several, so that decoding goes on."""
    path = sounds.write(tmp_path / "a.wav", "wav", sounds.staircase(29 * 3 * wire.PLACES), 16_000)
    theirs = one.track(path).segments()
    for number, ours in enumerate(Track(path).segments()):
        taken = next(theirs)
        if number == 0:
            assert one._process is not None
            assert one._process._shared is not None
            time.sleep(0.3)  # it fills what there is, and waits
        assert np.array_equal(ours, taken)
    assert next(theirs, None) is None


@pytest.mark.parametrize("trouble", ["memfd_create", "ftruncate"])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is none")
def test_a_system_that_gives_no_shared_memory_is_decoded_on_all_the_same(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError("no more of it")

    n_open = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    monkeypatch.setattr(os, trouble, refuse)
    assert n_segments(one, song) == 1
    one.close()
    assert len(os.listdir("/proc/self/fd")) == n_open  # noqa: PTH208


def test_timed_segments_are_those_of_the_track(one: Decoder, tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.flac", "flac", sounds.staircase(70), 16_000)
    here, there = Track(path), one.track(path)
    for ours, theirs in zip(here.timed_segments(), there.timed_segments(), strict=True):
        assert ours[0] == theirs[0]
        assert np.array_equal(ours[1], theirs[1])
    assert there.duration_s == here.duration_s


def test_the_digest_is_that_of_the_track(one: Decoder, song: Path) -> None:
    assert one.payload_digest(song) == payload_digest(song)


def test_an_error_comes_over_whole(one: Decoder, tmp_path: Path) -> None:
    path = sounds.write(tmp_path / "a.flac", "flac", sounds.silence(2), 44_100)
    track = one.track(path)
    with pytest.raises(AudioError) as caught:
        list(track.segments())
    with pytest.raises(AudioError) as expected:
        list(Track(path).segments())
    assert caught.value.args == expected.value.args
    assert track.duration_s == pytest.approx(2)
    process = one._process
    with pytest.raises(AudioError, match="no such file"):
        one.payload_digest(tmp_path / "gone.mp3")
    assert one._process is process is not None  # it is well


@pytest.mark.parametrize(
    "name",
    [
        "-i.wav",
        "--help",
        "a\nb.wav",
        "http:__example.org_a.wav",
        "concat:a.wav|b.wav",
        "pipe:0",
        "file:a.wav",
        "a%03d.wav",
        "*.wav",
        pytest.param(
            os.fsdecode(b"\xff\xfe.wav"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="such names are Linux'"),
        ),
    ],
)
def test_a_name_is_a_name(
    one: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Relative, so that it begins as it does: no option, no address, no pattern, no list."""
    if os.name != "posix" and set(name) & set(':*|\n"<>?'):
        pytest.skip("no file can have this name here")
    monkeypatch.chdir(tmp_path)
    song = sounds.make(tmp_path, "wav", seconds=2).rename(tmp_path / name)
    assert n_segments(one, Path(name)) == 1
    assert one.payload_digest(Path(name)) == payload_digest(song)
    song.write_bytes(sounds.encode("mp3", sounds.chord(2), 44_100))
    assert n_segments(one, Path(name)) == 1


def test_one_process_decodes_many_files_and_goes_at_the_end(song: Path) -> None:
    with Decoder() as one:
        n_segments(one, song)
        process = one._process
        assert process is not None
        assert n_segments(one, song) == 1
        assert n_segments(one, song) == 1
        assert one._process is process
    assert process._popen.returncode is not None
    assert not [t for t in threading.enumerate() if t.name.startswith("musictag")]


def test_a_process_that_has_done_much_is_exchanged(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "MOST_REQUESTS", 1)
    n_segments(one, song)
    first = one._process
    assert n_segments(one, song) == 1
    assert one._process is not first


def test_segments_nobody_wants_do_not_turn_up_later(one: Decoder, tmp_path: Path) -> None:
    long = sounds.write(tmp_path / "a.wav", "wav", sounds.staircase(90), 16_000)
    short = sounds.make(tmp_path, "flac", seconds=3)
    next(one.track(long).segments())
    assert n_segments(one, short) == 1
    assert len(list(one.track(long).segments(most=1))) == 1
    assert n_segments(one, short) == 1


def test_the_process_loads_what_it_needs_and_no_more(song: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        from musictag.audio import worker
        from musictag.audio.track import Track
        list(Track(Path({os.fspath(song)!a})).segments())
        print(*sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    loaded = subprocess.run(
        command, capture_output=True, check=True, text=True, timeout=WAIT_S
    ).stdout.split()
    assert "soxr" in loaded
    assert not {"torch", "typer", "rich", "mutagen", "sqlite3", "scipy"} & set(loaded)


def test_nothing_is_imported_from_the_current_folder(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be full of other people's files."""
    for name in ("numpy", "av", "soxr", "soundfile", "json"):
        (song.parent / f"{name}.py").write_text("raise SystemExit")
    monkeypatch.chdir(song.parent)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    assert n_segments(one, song) == 1


# ---------------------------------------------------------------- what it may suffer


@posix
@pytest.mark.parametrize(
    ("what", "code", "reason"),
    [
        (CRASH, "crashed", r"its decoder crashed \(SIGSEGV\)"),
        ("os.abort()", "crashed", r"its decoder crashed \(SIGABRT\)"),
        ("os._exit(3)", "crashed", r"its decoder crashed \(exit code 3\)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "killed, perhaps because memory"),
        ("wire.HUNG_S = 0; worker._allow_processor_time(0)\n"
         "            while True: pass", "hung", "worked for 60 s without getting further"),
        ("raise MemoryError", "too_big", "more than 1024 MB"),
        ("raise OSError(5, 'Input/output error')", "io", "input/output error"),
    ],
)  # fmt: skip
def test_what_a_file_does_to_its_decoder_costs_that_file(
    one: Decoder, ill: Path, song: Path, infect: Any, what: str, code: str, reason: str
) -> None:
    infect(what)
    assert n_segments(one, song) == 1
    with pytest.raises(AudioError, match=reason) as caught:
        list(one.track(ill).segments())
    assert caught.value.code == code
    assert n_segments(one, song) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what is allocated")
def test_memory_is_bounded(one: Decoder, ill: Path, infect: Any) -> None:
    infect("bytearray(2 << 30)")
    assert code_of(one, ill) == "too_big"


@posix
def test_a_decoder_can_write_no_file(one: Decoder, ill: Path, infect: Any) -> None:
    infect("path.with_name('new').write_bytes(b'x')")
    assert code_of(one, ill) == "io"
    assert not ill.with_name("new").read_bytes()


def test_a_process_without_a_sign_of_life_is_given_up(
    one: Decoder, ill: Path, song: Path, infect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "STALLED_S", 1)
    infect("time.sleep(3600)")
    assert code_of(one, ill) == "stalled"
    monkeypatch.setattr(decoder, "STALLED_S", 600)
    assert n_segments(one, song) == 1


@posix
def test_who_dies_of_an_earlier_file_is_replaced_and_no_segment_comes_twice(
    one: Decoder, tmp_path: Path, song: Path, infect: Any
) -> None:
    """The second file's first segment has been sent when it happens."""
    infect("worker.old_send = worker._Replier.send; worker.n = 0; "
           "worker._Replier.send = lambda s, k, c=b'': ("
           "setattr(worker, 'n', worker.n + (k in (b'S', b'M'))), "
           f"{CRASH} if worker.n == 2 else worker.old_send(s, k, c))",
           where=f"path.name == {song.name!a}")  # fmt: skip
    long = sounds.write(tmp_path / "long.wav", "wav", sounds.staircase(90), 16_000)
    assert n_segments(one, song) == 1
    for ours, theirs in zip(Track(long).segments(), one.track(long).segments(), strict=True):
        assert np.array_equal(ours, theirs)


@posix
def test_an_idle_process_that_was_killed_is_replaced(one: Decoder, song: Path) -> None:
    n_segments(one, song)
    assert one._process is not None
    os.kill(one._process._popen.pid, signal.SIGKILL)
    assert n_segments(one, song) == 1


@pytest.mark.parametrize(
    "reply",
    [
        "b'Z\\0\\0\\0\\0'",
        "b'S\\1\\0\\0\\0x'",
        "b'D\\0\\0\\0\\0'",
        "b'M\\0\\0\\0\\0'",  # in shared memory, but nobody knows where
        "b'M\\1\\0\\0\\0\\x63'",  # far outside
        "b'D\\x20\\0\\0\\0' + bytes(32)",  # in itself it is one, but nobody asked for it
        "b'S\\xff\\xff\\xff\\xff'",
        "b'E\\2\\0\\0\\0{}'",
        "b'E\\4\\0\\0\\0[[[['",
        'b\'E\\x1b\\0\\0\\0[0, "", "silent", 5, null]\'.ljust(32)',
    ],
)
def test_the_process_is_not_believed(one: Decoder, ill: Path, infect: Any, reply: str) -> None:
    infect(f"worker._Replier.send = lambda self, *_: self._replies.write({reply})")
    assert code_of(one, ill) == "crashed"


def test_what_a_library_prints_does_no_harm(
    one: Decoder, ill: Path, infect: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    infect("os.write(1, b'x' * 99); os.write(2, b'y' * 99); print('z'); sys.stdin.read()")
    assert n_segments(one, ill) == 1
    assert capfd.readouterr() == ("", "")


def test_an_exception_we_did_not_foresee_is_ours(one: Decoder, ill: Path, infect: Any) -> None:
    infect("raise KeyError('oh')")
    with pytest.raises(
        RuntimeError, match=r"ill\.wav': in the decoding process:[^$]*KeyError: 'oh'"
    ):
        list(one.track(ill).segments())


def test_a_python_that_does_not_start_is_no_files_fault(
    one: Decoder, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "_command", lambda: [os.fspath(song.parent / "none")])
    with pytest.raises(MusictagError, match="cannot start a process to decode in"):
        n_segments(one, song)


# ---------------------------------------------------------------- traps


def most_mb(one: Decoder) -> int:
    """The most memory that the process has held."""
    assert one._process is not None
    status = Path(f"/proc/{one._process._popen.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def silent_flac(hours: float) -> bytes:
    """Silence at 8 kHz, as FLAC writes it at its shortest: 16 bytes for eight seconds."""

    def crc(data: bytes, width: int, polynomial: int) -> bytes:
        value, top = 0, 1 << width - 1
        for byte in data:
            value ^= byte << width - 8
            for _ in range(8):
                value = (value << 1) ^ (polynomial if value & top else 0)
                value &= 2 * top - 1
        return value.to_bytes(width // 8, "big")

    about = struct.pack(">HH", 65535, 65535) + bytes(6)
    about += (8000 << 44 | 0 << 41 | 15 << 36).to_bytes(8, "big") + bytes(16)
    frames = []
    for number in range(int(hours * 3600 * 8000 / 65535)):
        coded = chr(number).encode("utf-8", "surrogatepass")  # FLAC numbers them as UTF-8 does
        head = b"\xff\xf8\x74\x08" + coded + struct.pack(">H", 65534)
        frame = head + crc(head, 8, 0x07) + b"\0\0\0"
        frames.append(frame + crc(frame, 16, 0x8005))
    return b"fLaC\x80\0\0\x22" + about + b"".join(frames)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_hours_of_silence_in_a_few_kilobytes_take_no_memory(one: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(silent_flac(2))
    assert path.stat().st_size < 16_000
    track = one.track(path)
    with pytest.raises(AudioError, match=r"nothing in it is louder"):
        list(track.segments())
    assert track.duration_s == pytest.approx(2 * 3600, abs=10)
    assert most_mb(one) < 200


def test_music_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(track, "LONGEST_S", 1800)
    path = tmp_path / "a.flac"
    path.write_bytes(silent_flac(1))
    for n_segments in (None, 3):
        with pytest.raises(AudioError) as caught:
            list(Track(path, n_segments=n_segments).segments())
        assert caught.value.code == "too_big"


CLAIMS = {
    # container, what stands before the number, how far behind it, and what is claimed
    "wav: data": ("wav", b"data", 4, b"\xf0\xff\xff\xff"),
    "wav: RIFF": ("wav", b"RIFF", 4, b"\xff\xff\xff\xff"),
    "wav: fmt": ("wav", b"fmt ", 4, b"\xf0\xff\xff\x7f"),
    "wav: channels": ("wav", b"fmt ", 10, b"\xff\xff"),
    "wav: rate": ("wav", b"fmt ", 12, b"\xff\xff\xff\xff"),
    "wav: block": ("wav", b"fmt ", 20, b"\xff\xff"),
    "aiff: frames": ("aiff", b"COMM", 10, b"\xff\xff\xff\xff"),
    "aiff: sound": ("aiff", b"SSND", 4, b"\x7f\xff\xff\xff"),
    "flac: block": ("flac", b"fLaC", 5, b"\xff\xff\xff"),
    "flac: samples": ("flac", b"fLaC", 22, b"\xff\xff\xff\xff"),
    "caf: data": ("caf", b"data", 4, b"\x7f" + b"\xff" * 7),
    "au: data": ("au", b".snd", 8, b"\xff\xff\xff\xfe"),
    "m4a: samples": ("m4a", b"stsz", 12, b"\x7f\xff\xff\xff"),
    "m4a: sample size": ("m4a", b"stsz", 8, b"\x7f\xff\xff\xff"),
    "m4a: chunks": ("m4a", b"stco", 8, b"\x3f\xff\xff\xff"),
    "m4a: times": ("m4a", b"stts", 8, b"\x0f\xff\xff\xff"),
    "m4a: descriptor": ("m4a", b"esds", 6, b"\xff\xff\xff\x7f"),
    "alac: frame": ("m4a-alac", b"alac", 4, b"\x7f\xff\xff\xff\x7f\xff\xff\xff\x7f\xff\xff\xff"),
    "wma: object": ("wma", bytes.fromhex("3026b275"), 16, b"\xff" * 7 + b"\x7f"),
    "wavpack: block": ("wavpack", b"wvpk", 4, b"\xf8\xff\xff\x7f"),
    "wavpack: samples": ("wavpack", b"wvpk", 12, b"\xfe\xff\xff\x7f\0\0\0\0\xfe\xff\xff\x7f"),
    "ape: frames": ("ape", b"MAC ", 60, b"\xff\xff\xff\x7f"),
    "tta: samples": ("tta", b"TTA1", 14, b"\xff\xff\xff\x7f"),
    "mka: cluster": ("mka", bytes.fromhex("1f43b675"), 4, b"\x01" + b"\xff" * 7),
    "ogg: page": ("opus", b"OpusHead", 9, b"\xff"),
    "mp3: Xing": ("mp3", b"Info", 8, b"\xff\xff\xff\xff"),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("container", sorted({claim[0] for claim in CLAIMS.values()}))
def test_what_a_header_claims_is_not_allocated(
    one: Decoder, tmp_path: Path, container: str
) -> None:
    for what, (kind, name, behind, claim) in CLAIMS.items():
        if kind != container:
            continue
        content = bytearray(sounds.encode(container, sounds.chord(2, rate_hz=16_000), 16_000))
        at = content.find(name) + behind
        assert at >= behind, what
        content[at : at + len(claim)] = claim
        path = tmp_path / "a.bin"
        path.write_bytes(content)
        with contextlib.suppress(AudioError):
            one.payload_digest(path)
        with contextlib.suppress(AudioError):
            list(one.track(path).segments())
        with contextlib.suppress(AudioError):
            list(one.track(path, n_segments=1).segments())
        # No process is left of one that was refused the memory, and failed the file for that.
        assert one._process is None or most_mb(one) < 300, what


# ---------------------------------------------------------------- its end


def test_who_waits_is_told_when_the_decoder_is_killed(one: Decoder, ill: Path, infect: Any) -> None:
    infect("time.sleep(3600)")
    track = one.track(ill)
    killer = threading.Thread(target=lambda: (_until(lambda: one._process), one.kill()))
    killer.start()
    with pytest.raises(decoder.Closed):
        list(track.segments())
    join(killer)
    with pytest.raises(decoder.Closed):
        one.payload_digest(ill)


@posix
def test_ctrl_c_is_for_the_program_alone(one: Decoder, song: Path) -> None:
    n_segments(one, song)
    assert one._process is not None
    pid = one._process._popen.pid
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    assert n_segments(one, song) == 1
    assert one._process._popen.pid == pid


@posix
@pytest.mark.parametrize("busy", [False, True])
def test_the_process_ends_with_a_parent_that_is_killed(song: Path, busy: bool) -> None:
    script = f"""
        import os, sys, time
        from pathlib import Path
        from musictag.audio import decoder
        from musictag.audio import spawn
        sick = "import time; from musictag.audio.track import Track; "
        sick += "Track.segments = lambda _: time.sleep(99)"
        python = f"import sys; sys.path[:] = {{sys.path!a}}; {{sick if {busy} else ''}}\\n"
        python += "from musictag.audio import worker; worker.work()"
        spawn._command = lambda: [sys.executable, "-I", "-c", python]
        one = decoder.Decoder()
        one.payload_digest(Path({os.fspath(song)!a}))
        print(one._process._popen.pid, flush=True)
        list(one.track(Path({os.fspath(song)!a})).segments())
        time.sleep(99)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    _until(lambda: not _is_running(pid))


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return not Path("/proc/self/stat").exists()
        return False
    return state != "Z"


def _until(so: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


# ---------------------------------------------------------------- in a taggram


@posix
def test_a_crash_costs_a_taggram_one_line(ill: Path, infect: Any) -> None:
    infect(CRASH)
    ears: Any = Ears()
    with pytest.raises(AudioError, match="its decoder crashed"):
        taggram.hear(ill, ears, Settings(device="cpu"))


@pytest.mark.parametrize("start", ["float('nan')", "-1.0", "float('inf')"])
def test_a_start_that_is_no_time_is_not_believed(
    one: Decoder, ill: Path, infect: Any, start: str
) -> None:
    infect(f"return [({start}, __import__('numpy').zeros(SEGMENT_LENGTH, 'float32'))]")
    with pytest.raises(AudioError, match="went astray"):
        list(one.track(ill).timed_segments())


# ---------------------------------------------------------------- in a scan


class Ears(FakeEar):
    name, digest, front_end, tags, thresholds = "fake", "d1", {}, ("rock",), {"Rock": 0.4}


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., list[Outcome]]:
    def scan(*paths: Path) -> list[Outcome]:
        settings = Settings(device="cpu", jobs=1)
        with Cache(tmp_path / "heard.sqlite") as cache:
            ears: Any = Ears()
            return list(pipeline.scan(paths, ears, settings, cache=cache))

    return scan


@posix
@pytest.mark.parametrize("tags", ["good", "bad"])
@pytest.mark.parametrize("in_digest", [False, True])
def test_a_file_that_kills_its_decoder_is_remembered_until_it_changes(
    tmp_path: Path, infect: Any, scan: Any, song: Path, tags: str, in_digest: bool
) -> None:
    ill = tmp_path / "ill.mp3"
    head = b"ID3\x03\0\x80\0\0\0\x05hello" if tags == "bad" else b""

    def fill(seed: int) -> None:
        ill.write_bytes(head + sounds.encode("mp3", sounds.chord(2, seed=seed), 44_100))

    fill(1)
    infect(
        f"os.mkdir({os.fspath(tmp_path)!a} + f'/death {{os.getpid()}}'); {CRASH}",
        where=ILL_FILE if in_digest else f"{ILL_FILE} and isinstance(self, Track)",
    )

    def n_deaths() -> int:
        return len(list(tmp_path.glob("death*")))

    first = scan(song, ill)
    assert [outcome.status for outcome in first] == ["planned", "failed"]
    assert first[1].error == Problem("crashed", "its decoder crashed (SIGSEGV)")
    n = n_deaths()
    (second,) = scan(ill)
    assert (second.error, second.from_cache) == (first[1].error, True)
    assert n_deaths() == n > 0
    fill(2)
    assert scan(ill)[0].error == first[1].error
    assert n_deaths() > n
    infect("pass")
    fill(3)
    (mended,) = scan(ill)
    assert mended.error is None if tags == "good" else mended.error.code != "crashed"


def test_a_library_that_is_remembered_starts_no_process(
    scan: Any, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scan(song)[0].status == "planned"
    monkeypatch.setattr(spawn, "_command", lambda: pytest.fail("it was started"))
    assert scan(song)[0].from_cache


def test_a_scan_that_is_left_leaves_no_process(
    scan: Any, tmp_path: Path, song: Path, infect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    infect("time.sleep(3600)")
    ill = sounds.make(tmp_path, "wav", name="ill.wav", seed=1)
    started: list[Any] = []
    start = decoder._Process.__init__
    monkeypatch.setattr(
        decoder._Process, "__init__", lambda self: (started.append(self), start(self))[1]
    )
    ears: Any = Ears()
    settings = Settings(device="cpu", jobs=2, batch_size=1)
    outcomes = pipeline.scan([song, ill], ears, settings, cache=Cache(None))
    next(outcomes)
    _until(lambda: len(started) == 2)
    outcomes.close()
    assert all(process._popen.returncode is not None for process in started)
    assert not [t for t in threading.enumerate() if t.name.startswith("musictag")]
