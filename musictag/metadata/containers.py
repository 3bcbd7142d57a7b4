"""Which kind of file it is, told by its content, and which family of tags it holds."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mutagen.aiff
import mutagen.asf
import mutagen.dsdiff
import mutagen.dsf
import mutagen.flac
import mutagen.monkeysaudio
import mutagen.mp3
import mutagen.musepack
import mutagen.oggflac
import mutagen.oggopus
import mutagen.oggspeex
import mutagen.oggvorbis
import mutagen.optimfrog
import mutagen.tak
import mutagen.trueaudio
import mutagen.wave
import mutagen.wavpack

from musictag.metadata.apev2 import APEv2
from musictag.metadata.asf import ASF
from musictag.metadata.family import Family, parsing, read_at, synchsafe
from musictag.metadata.id3 import ID3, ID3AtPointer, ID3InChunk
from musictag.metadata.mp4 import MP4, MP4File
from musictag.metadata.replacement import Refusal
from musictag.metadata.vorbis import FLAC, Ogg


@dataclass(frozen=True)
class Container:
    """One row: a kind of file, how it begins, and who can tag it."""

    name: str
    suffixes: tuple[str, ...]
    """All that it goes by; the first is the one we recommend."""
    magic: bytes
    """Regular expression for its first bytes, after ID3v2 if it stands there."""
    family: Callable[[Path, Any], Family] | None = None
    """None: mutagen cannot tag it."""
    mutagen: Any = None


_OGG = (".oga", ".ogg", ".opus", ".spx")
_MPEG = Container(
    "MPEG audio",
    (".mp3", ".mp2", ".mp1", ".mpga", ".mpa"),
    rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]",
    ID3,
    mutagen.mp3.MP3,
)
CONTAINERS = (
    Container("FLAC", (".flac",), rb"fLaC", FLAC, mutagen.flac.FLAC),
    Container("Theora video", (".ogv",), rb"OggS.*\x80theora"),
    Container(
        "Ogg Vorbis", (".ogg", *_OGG), rb"OggS.*\x01vorbis", Ogg, mutagen.oggvorbis.OggVorbis
    ),
    Container("Opus", (".opus", *_OGG), rb"OggS.*OpusHead", Ogg, mutagen.oggopus.OggOpus),
    Container("Ogg FLAC", (".oga", *_OGG), rb"OggS.*\x7fFLAC", Ogg, mutagen.oggflac.OggFLAC),
    Container("Speex", (".spx", *_OGG), rb"OggS.*Speex   ", Ogg, mutagen.oggspeex.OggSpeex),
    Container(
        "MP4",
        (".m4a", ".m4b", ".m4p", ".m4r", ".mp4", ".m4v", ".alac", ".mov", ".3gp", ".3g2"),
        rb"....(ftyp|moov|mdat|wide)",
        MP4,
        MP4File,
    ),
    Container("ASF", (".wma", ".asf", ".wmv"), rb"\x30\x26\xb2\x75\x8e\x66", ASF, mutagen.asf.ASF),
    Container("WAV", (".wav", ".wave", ".bwf"), rb"RIFF....WAVE", ID3InChunk, mutagen.wave.WAVE),
    Container(
        "AIFF", (".aiff", ".aif", ".aifc"), rb"FORM....AIF[FC]", ID3InChunk, mutagen.aiff.AIFF
    ),
    Container("DSDIFF", (".dff",), rb"FRM8.{8}DSD ", ID3InChunk, mutagen.dsdiff.DSDIFF),
    Container("DSF", (".dsf",), rb"DSD ", ID3AtPointer, mutagen.dsf.DSF),
    Container("True Audio", (".tta",), rb"TTA[12]", ID3, mutagen.trueaudio.TrueAudio),
    Container("Monkey's Audio", (".ape",), rb"MAC ", APEv2, mutagen.monkeysaudio.MonkeysAudio),
    Container("WavPack", (".wv",), rb"wvpk", APEv2, mutagen.wavpack.WavPack),
    Container("Musepack", (".mpc", ".mp+"), rb"MP\+|MPCK", APEv2, mutagen.musepack.Musepack),
    Container("TAK", (".tak",), rb"tBaK", APEv2, mutagen.tak.TAK),
    Container("OptimFROG", (".ofr", ".ofs"), rb"OFR ", APEv2, mutagen.optimfrog.OptimFROG),
    Container("AAC without a container", (".aac", ".adts"), rb"\xff[\xf0\xf1\xf8\xf9]|ADIF"),
    Container("Matroska", (".mka", ".mkv", ".webm"), rb"\x1a\x45\xdf\xa3"),
    Container("CAF", (".caf",), rb"caff"),
    Container("AU", (".au", ".snd"), rb"\.snd"),
    Container("RF64", (".wav", ".rf64", ".bwf"), rb"(RF64|BW64)....WAVE"),
    Container("Wave64", (".w64",), rb"riff\x2e\x91\xcf\x11"),
    Container("AC-3", (".ac3", ".eac3"), rb"\x0b\x77"),
    Container("AMR", (".amr", ".awb"), rb"#!AMR"),
    Container("MIDI", (".mid", ".midi"), rb"MThd"),
    _MPEG,  # last: two bytes are the weakest sign
)


def open_file(path: Path, *, named: Path | None = None) -> Family:
    """The file's tags, its container told by its content; `named` must not claim another one."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("not_a_file", "not a regular file")
    if not status.st_size:
        raise Refusal("empty", "the file is empty")
    container = _recognised(path)
    if named is not None:
        claims = [other for other in CONTAINERS if named.suffix.lower() in other.suffixes]
        if claims and container not in claims:
            suffix = container.suffixes[0]
            raise Refusal(
                "mislabelled",
                f"named {named.suffix}, but it is {container.name}",
                f"rename it to end in {suffix}",
            )
    if container.family is None:
        raise Refusal("no_tags", f"{container.name} has no tags that musictag can write")
    with parsing():
        return container.family(path, container.mutagen)


def _recognised(path: Path) -> Container:
    with path.open("rb") as file:
        start = 0
        while (head := read_at(file, start, 4096)).startswith(b"ID3") and len(head) >= 10:
            start += 10 + synchsafe(head[6:10])  # also several in a row, as Windows stacks them
    for container in CONTAINERS:
        if re.match(container.magic, head, re.DOTALL):
            return container
    suffix = path.suffix.lower()
    known = any(suffix in container.suffixes for container in CONTAINERS)
    # An mp3 may begin with junk. mutagen looks further in, and says if it finds no frames.
    if suffix in _MPEG.suffixes or (start and not known):
        return _MPEG
    if known:
        raise Refusal("bad_header", f"it does not begin as a {suffix} file does")
    raise Refusal("no_tags", "not a container that musictag knows")
