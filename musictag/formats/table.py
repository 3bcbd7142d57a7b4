"""The table of audio containers: one row for each, asked by everything that meets a file.

A new container is a row of `FORMATS`, a family in `metadata` if it carries its tags in a new
way, and a row in `tests/support/sounds.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from musictag.formats import flac, id3v2
from musictag.formats.reading import read_at

HEAD_LENGTH = 4096
"""Bytes at a file's start that tell its format: an Ogg file names its codec in its first pages."""


MOST_PADDING = 1 << 20
"""Zero bytes that are skipped behind ID3v2 in search of the sound."""


@dataclass(frozen=True)
class Format:
    """One row: a kind of audio file, how to recognise it, and who reads and tags it."""

    name: str
    """What messages call it."""
    suffixes: tuple[str, ...]
    """Names of music files of this kind, which a walk looks for."""
    magic: bytes | None
    """Regular expression for its first bytes, behind ID3v2 if there is any. None: too weak a sign
    to tell the format by."""
    family: str | None = None
    """How it carries tags: a name in `metadata.containers.FAMILIES`. None: musictag cannot write
    tags into it."""
    mutagen: str = ""
    """The class that reads its length for its family, as "module.Class" in the package mutagen;
    none where the family compares the bytes that state it."""
    demuxers: tuple[str, ...] = ()
    """Names of ffmpeg's demuxers for it; none where ffmpeg cannot read it."""
    also_named: tuple[str, ...] = ()
    """Names of films, speech and rarities of this kind: recognised, but a walk passes by."""
    seeks_exactly: bool = False
    """Whether ffmpeg, starting in the middle, gives the samples that reading up to there gives."""
    states_duration: bool = False
    """Whether the file states its duration and ffmpeg reads it there. For other formats ffmpeg only
    guesses: from the bit rate, or (wav, asf, mp3) from the size of a file that may be cut short."""
    tagged_behind: bool = False
    """Whether APEv2, ID3v1 or Lyrics3 tags may follow the sound, which does not know its own end.
    (To ffmpeg, the last packet of a Monkey's Audio file reaches to the end of the file.)"""
    libsndfile_first: bool = False
    """Whether libsndfile decodes it faster than ffmpeg."""
    check: Callable[[bytes], bool] | None = None
    """A second look at the first bytes, where `magic` alone is too weak."""

    @property
    def all_suffixes(self) -> tuple[str, ...]:
        return self.suffixes + self.also_named

    @property
    def suffix(self) -> str:
        """The file name extension to recommend."""
        return self.all_suffixes[0]

    def begins(self, head: bytes) -> bool:
        """Whether a file with these first bytes is of this format."""
        if self.magic is None or not re.match(self.magic, head, re.DOTALL):
            return False
        return self.check is None or self.check(head)


_OGG = (".oga", ".ogg", ".opus", ".spx")
_MPEG_SUFFIXES = (".mp3", ".mp2", ".mp1", ".mpga", ".mpa")
_MPEG_SYNC = rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]"

MPEG = Format(
    "MPEG audio",
    _MPEG_SUFFIXES,
    _MPEG_SYNC,
    "ID3",
    "mp3.MPEGInfo",
    demuxers=("mp3",),
    seeks_exactly=True,
    tagged_behind=True,
)

FORMATS = (
    Format(
        "FLAC",
        (".flac",),
        rb"fLaC",
        "FLAC",
        "flac.StreamInfo",
        demuxers=("flac",),
        seeks_exactly=True,
        states_duration=True,
        libsndfile_first=True,
    ),
    # before AAC, whose first bytes are the same
    Format(
        "FLAC without its header",
        (".flac",),
        rb"\xff[\xf8\xf9]",
        demuxers=("flac",),
        seeks_exactly=True,
        states_duration=True,
        check=flac.is_frame,
    ),
    Format(
        "Theora video",
        (),
        rb"OggS.*\x80theora",
        demuxers=("ogg",),
        also_named=(".ogv",),
        seeks_exactly=True,
    ),
    Format(
        "Ogg Vorbis",
        (".ogg", *_OGG),
        rb"OggS.*\x01vorbis",
        "Ogg",
        "oggvorbis.OggVorbis",
        demuxers=("ogg",),
        seeks_exactly=True,
    ),
    Format(
        "Opus",
        (".opus", *_OGG),
        rb"OggS.*OpusHead",
        "Ogg",
        "oggopus.OggOpus",
        demuxers=("ogg",),
        seeks_exactly=True,
    ),
    Format(
        "Ogg FLAC",
        (".oga", *_OGG),
        rb"OggS.*\x7fFLAC",
        "Ogg",
        "oggflac.OggFLAC",
        demuxers=("ogg",),
        seeks_exactly=True,
    ),
    Format(
        "Speex",
        (".spx", *_OGG),
        rb"OggS.*Speex   ",
        "Ogg",
        "oggspeex.OggSpeex",
        demuxers=("ogg",),
        seeks_exactly=True,
    ),
    Format(
        "MP4",
        (".m4a", ".m4b", ".m4r", ".alac"),
        rb"....(ftyp|moov|mdat|wide)",
        "MP4",
        demuxers=("mov",),
        also_named=(".m4p", ".mp4", ".m4v", ".mov", ".3gp", ".3g2"),
        seeks_exactly=True,
        states_duration=True,
    ),
    Format(
        "ASF",
        (".wma", ".asf"),
        rb"\x30\x26\xb2\x75\x8e\x66",
        "ASF",
        demuxers=("asf",),
        also_named=(".wmv",),
    ),
    Format(
        "WAV",
        (".wav", ".wave", ".bwf"),
        rb"RIFF....WAVE",
        "ID3 in a chunk",
        "wave.WaveStreamInfo",
        demuxers=("wav",),
        seeks_exactly=True,
        libsndfile_first=True,
    ),
    Format(
        "AIFF",
        (".aiff", ".aif", ".aifc"),
        rb"FORM....AIF[FC]",
        "ID3 in a chunk",
        "aiff.AIFFInfo",
        demuxers=("aiff",),
        seeks_exactly=True,
        states_duration=True,
        libsndfile_first=True,
    ),
    Format(
        "DSDIFF",
        (".dff",),
        rb"FRM8.{8}DSD ",
        "ID3 in a chunk",
        "dsdiff.DSDIFFInfo",
        demuxers=("iff",),
        states_duration=True,
    ),
    Format(
        "DSF",
        (".dsf",),
        rb"DSD ",
        "ID3 at a pointer",
        "dsf.DSFFile",
        demuxers=("dsf",),
        states_duration=True,
    ),
    Format(
        "True Audio",
        (".tta",),
        rb"TTA[12]",
        "ID3 in True Audio",
        "trueaudio.TrueAudioInfo",
        demuxers=("tta",),
        seeks_exactly=True,
        states_duration=True,
        tagged_behind=True,
    ),
    Format(
        "Monkey's Audio",
        (".ape",),
        rb"MAC ",
        "APEv2",
        "monkeysaudio.MonkeysAudioInfo",
        demuxers=("ape",),
        seeks_exactly=True,
        states_duration=True,
        tagged_behind=True,
    ),
    Format(
        "WavPack",
        (".wv",),
        rb"wvpk",
        "APEv2",
        "wavpack.WavPackInfo",
        demuxers=("wv",),
        seeks_exactly=True,
        states_duration=True,
        tagged_behind=True,
    ),
    Format(
        "Musepack",
        (".mpc", ".mp+"),
        rb"MP\+|MPCK",
        "APEv2",
        "musepack.MusepackInfo",
        demuxers=("mpc", "mpc8"),
        states_duration=True,
        tagged_behind=True,
    ),
    Format(
        "TAK",
        (".tak",),
        rb"tBaK",
        "APEv2",
        "tak.TAKInfo",
        demuxers=("tak",),
        states_duration=True,
        tagged_behind=True,
    ),
    Format(
        "OptimFROG",
        (".ofr", ".ofs"),
        rb"OFR ",
        "APEv2",
        "optimfrog.OptimFROGInfo",
        tagged_behind=True,
    ),
    Format(
        "AAC without a container",
        (".aac", ".adts"),
        rb"\xff[\xf0\xf1\xf8\xf9]|ADIF",
        demuxers=("aac",),
        tagged_behind=True,
    ),
    Format("LOAS", (), None, demuxers=("loas",), also_named=(".loas",)),
    Format(
        "Matroska",
        (".mka",),
        rb"\x1a\x45\xdf\xa3",
        demuxers=("matroska",),
        also_named=(".mkv", ".webm"),
        states_duration=True,
    ),
    Format(
        "CAF",
        (".caf",),
        rb"caff",
        demuxers=("caf",),
        seeks_exactly=True,
        states_duration=True,
        libsndfile_first=True,
    ),
    Format(
        "AU",
        (".au", ".snd"),
        rb"\.snd",
        demuxers=("au",),
        seeks_exactly=True,
        states_duration=True,
        libsndfile_first=True,
    ),
    Format(
        "RF64",
        (".wav", ".rf64", ".bwf"),
        rb"(RF64|BW64)....WAVE",
        demuxers=("wav",),
        seeks_exactly=True,
        libsndfile_first=True,
    ),
    Format(
        "Wave64",
        (".w64",),
        rb"riff\x2e\x91\xcf\x11",
        demuxers=("w64",),
        seeks_exactly=True,
        states_duration=True,
    ),
    Format(
        "8SVX",
        (),
        rb"FORM....(8SVX|16SV)",
        demuxers=("iff",),
        also_named=(".8svx", ".iff"),
        states_duration=True,
        libsndfile_first=True,
    ),
    Format("AC-3", (".ac3", ".eac3"), rb"\x0b\x77", demuxers=("ac3", "eac3")),
    Format(
        "DTS",
        (".dts",),
        rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80|\x1f\xff\xe8\x00|\xff\x1f\x00\xe8|DTSHDHDR",
        demuxers=("dts", "dtshd"),
        also_named=(".dtshd",),
    ),
    Format(
        "TrueHD", (), rb"....\xf8\x72\x6f\xba", demuxers=("truehd",), also_named=(".thd", ".truehd")
    ),
    Format("Shorten", (".shn",), rb"ajkg", demuxers=("shn",)),
    Format("AMR", (), rb"#!AMR", demuxers=("amr",), also_named=(".amr", ".awb")),
    Format("RealMedia", (), rb"\.RMF|\.ra\xfd", demuxers=("rm",), also_named=(".ra", ".rm")),
    Format("ATRAC", (), rb"(ea3|EA3)[\x01\x03]", demuxers=("oma",), also_named=(".oma", ".aa3")),
    Format("QOA", (), rb"qoaf", demuxers=("qoa",), also_named=(".qoa",)),
    Format("Creative Voice", (), rb"Creative Voice File", demuxers=("voc",), also_named=(".voc",)),
    Format("SPHERE", (), rb"NIST_1A", demuxers=("nistsphere",), also_named=(".sph",)),
    Format("WSD", (), rb"1bit", demuxers=("wsd",), also_named=(".wsd",)),
    Format("Bonk", (), rb"\0BONK", demuxers=("bonk",), also_named=(".bonk",)),
    Format(
        "IRCAM",
        (),
        rb"\x64\xa3[\x01-\x04]\x00|\x00[\x01-\x04]\xa3\x64",
        demuxers=("ircam",),
        also_named=(".sf", ".ircam"),
    ),
    Format("MIDI", (), rb"MThd", also_named=(".mid", ".midi")),
    Format(
        "free-format MPEG audio",  # mutagen and ffmpeg do not know it, libsndfile does
        _MPEG_SUFFIXES,
        _MPEG_SYNC + rb"[\x00-\x0b]",
        demuxers=("mp3",),
        seeks_exactly=True,
        tagged_behind=True,
    ),
    MPEG,  # last: two bytes are the weakest sign
)

DEMUXERS = tuple(dict.fromkeys(name for row in FORMATS for name in row.demuxers))
"""Names of ffmpeg's demuxers that may open a file: those of sound, none that follows links."""

_BY_DEMUXER = {name: row for row in reversed(FORMATS) for name in row.demuxers}


def of_demuxer(name: str) -> Format | None:
    """A format that ffmpeg's demuxer of this name reads; all of one demuxer seek alike."""
    return next((_BY_DEMUXER[part] for part in name.split(",") if part in _BY_DEMUXER), None)


class Found(NamedTuple):
    """What a file is, told by its content."""

    format: Format | None
    start: int
    """Where the format's own bytes begin: behind ID3v2, if there is any."""
    head: bytes
    """The first `HEAD_LENGTH` bytes from there."""


def recognised(file: BinaryIO) -> Found:
    """The format of an open file, and where it begins behind ID3v2 tags."""
    found = _found_at(file, id3v2.end(file))
    if found.format is None and found.start and found.head.startswith(b"\0"):
        zeros = read_at(file, found.start, MOST_PADDING)  # padding that the tag does not count
        found = _found_at(file, found.start + len(zeros) - len(zeros.lstrip(b"\0")))
    return found


def _found_at(file: BinaryIO, start: int) -> Found:
    head = read_at(file, start, HEAD_LENGTH)
    return Found(next((row for row in FORMATS if row.begins(head)), None), start, head)
