"""Files made to exhaust memory or time."""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from pathlib import Path

import pytest
import sounds

from musictag.audio import track
from musictag.audio.decoder import Decoder
from musictag.audio.track import Track
from musictag.errors import AudioError

posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
ILL_FILE = "'ill' in path.name"


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
