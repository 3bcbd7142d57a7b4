"""Which players and taggers show which fields: the rows of docs/players.md that can be made here.

    python tests/clients.py [CLIENT ...]       a table in Markdown, for the programs that are there

A file of every container gets two values in each field; each program then says what it reads in
it. "full" is all values, "first" and "last" one of them, "–" none.
On Debian: apt-get install mpd kid3-cli libimage-exiftool-perl mediainfo quodlibet ffmpeg
gstreamer1.0-plugins-base-apps gstreamer1.0-plugins-good; tinytag comes from PyPI.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += map(os.fspath, (HERE / "support", HERE.parent))  # musictag too, unless installed

import containers
import readers

from musictag import metadata

VALUES = {
    "GENRE": ("Zydeco", "Polka"),
    "MOOD": ("Wistful", "Brazen"),
    "INSTRUMENT": ("Theremin", "Hurdygurdy"),
    "VOCALS": ("Falsetto", "Growling"),
}
TITLE = {version: containers.text(version, "TIT2", "Title") for version in (3, 4)}
FILES: dict[str, tuple[str, bytes]] = {
    # name of the column: row of containers.FAMILIES, what stands before the music
    "ID3v2.4": ("mp3", containers.id3(4, TITLE[4])),
    "ID3v2.3": ("mp3", containers.id3(3, TITLE[3])),
    "FLAC": ("flac", b""),
    "Ogg": ("ogg", b""),
    "Opus": ("opus", b""),
    "MP4": ("m4a", b""),
    "WMA": ("wma", b""),
    "APEv2 (wv)": ("wavpack", b""),
    "WAV": ("wav", b""),
    "AIFF": ("aiff", b""),
}


def _run(*command: str) -> Callable[[Path], str]:
    def text(path: Path) -> str:
        done = subprocess.run(
            [*command, os.fspath(path)], capture_output=True, check=False, timeout=60
        )
        return done.stdout.decode("utf-8", "replace")

    return text


def _kid3(path: Path) -> str:
    return _run("kid3-cli", "-c", "get all")(path)


def _mpd(path: Path) -> str:
    """What a server of its own for this one file lists, asked in its own language."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "music").mkdir()
        shutil.copy(path, home / "music")
        config = home / "mpd.conf"
        config.write_text(
            f'music_directory "{home}/music"\ndb_file "{home}/db"\nlog_file "{home}/log"\n'
            f'bind_to_address "{home}/socket"\n'
        )
        command = ["mpd", "--no-daemon", "--stdout", os.fspath(config)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return _asked(home / "socket")
        except OSError as error:
            print(f"MPD: {error}", file=sys.stderr)
            return ""
        finally:
            server.kill()
            server.wait(timeout=10)


def _asked(address: Path) -> str:
    """What the server lists once it has read the file."""
    for _ in range(100):
        if address.exists():
            break
        time.sleep(0.1)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(os.fspath(address))
        line.recv(1 << 16)  # its greeting

        def said(command: bytes) -> str:
            line.sendall(command + b"\n")
            return line.recv(1 << 16).decode("utf-8", "replace")

        said(b"update")
        while "updating_db" in said(b"status"):
            time.sleep(0.2)
        return said(b"listallinfo")


def _view(reader: str) -> Callable[[Path], str]:
    return lambda path: repr(readers.views(path)[reader])


CLIENTS: dict[str, tuple[str, Callable[[Path], str]]] = {
    # name: the program that must be there, what it says of a file
    "TagLib": ("", _view("TagLib")),
    "ffprobe": ("ffprobe", _view("ffprobe")),
    "mutagen": ("", _view("mutagen")),
    "MPD": ("mpd", _mpd),
    "kid3": ("kid3-cli", _kid3),
    "exiftool": ("exiftool", _run("exiftool", "-a", "-G1")),
    "mediainfo": ("mediainfo", _run("mediainfo", "--Full")),
    "Quod Libet": ("operon", _run("operon", "list", "-t")),
    "tinytag": ("", _run(sys.executable, "-m", "tinytag", "--format", "json")),
    "GStreamer": ("gst-discoverer-1.0", _run("gst-discoverer-1.0", "-v")),
}


def grade(text: str, values: tuple[str, ...]) -> str:
    """How many of the values the text shows."""
    found = [value for value in values if value in text]
    if found == list(values):
        return "full"
    if not found:
        return "–"
    return "first" if found[0] == values[0] else "last"


def main() -> int:
    chosen = sys.argv[1:] or list(CLIENTS)
    print("| client | field | " + " | ".join(FILES) + " |")
    print("|---" * (2 + len(FILES)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, (container, before) in FILES.items():
            suffix, content = containers.encoded(container)
            paths[name] = Path(folder, f"{len(paths)}{suffix}")
            paths[name].write_bytes(before + content)
            metadata.write(paths[name], VALUES)
        for client in chosen:
            program, say = CLIENTS[client]
            if program and shutil.which(program) is None:
                print(f"{client}: not installed", file=sys.stderr)
                continue
            texts = {name: say(path) for name, path in paths.items()}
            for field, values in VALUES.items():
                grades = " | ".join(grade(texts[name], values) for name in FILES)
                print(f"| {client} | {field} | {grades} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
