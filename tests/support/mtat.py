"""MagnaTagATune in miniature: its tables, folders and archive, and a server that hands them out.

There are twenty clips of made-up sound. Each of the 50 tags is carried by two of the
sixteen clips `plain(k)`, which are in one folder each; the other clips are odd cases.
"""

from __future__ import annotations

import functools
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sounds
from waits import join

from musictag.training.archive import PARTS
from musictag.training.magnatagatune import ANNOTATIONS, BROKEN, CLIP_INFO, TAGS

FOLDERS = "0123456789abcdef"
OTHERS = ("singer", "duet")
COLUMNS = ("no voice", "singer", *(tag for tag in TAGS if tag != "no voice"), "duet")
"""The tags as the original table has them, in no reliable order."""

INFO_COLUMNS = (
    *("clip_id", "track_number", "title", "artist", "album", "url"),
    *("segmentStart", "segmentEnd", "original_url", "mp3_path"),
)

GARBAGE, EMPTY, SHORT = "1/x-y-01-noise-0-29.mp3", "d/x-y-02-hush-0-29.mp3", "e/x-y-03-cut-0-29.mp3"
UNTAGGED = "0/x-y-04-unloved-0-29.mp3"
KNOWN_BROKEN = sorted(BROKEN)[0]


def plain(k: int) -> str:
    """Clip k of the sixteen good ones."""
    return f"{FOLDERS[k]}/artist-album_{k}-01-song-{29 * k}-{29 * k + 29}.mp3"


SECOND = "0/artist-album_0-01-song-59-88.mp3"
"""Another clip of the song that plain(0) is from."""


def tags_of() -> dict[str, set[str]]:
    """mp3_path → its tags, in the order of the table."""
    carried = {plain(k): set(TAGS[k % 8 :: 8]) for k in range(16)}
    carried[plain(5)].add("singer")
    carried[SECOND] = set(TAGS[:3])
    carried[UNTAGGED] = {"duet"}
    for path in (GARBAGE, EMPTY, SHORT, KNOWN_BROKEN):
        carried[path] = {"rock"}
    return carried


def write_tables(directory: Path, *, clip_info: bool = True) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(f'"{name}"' for name in ("clip_id", *COLUMNS, "mp3_path"))]
    info = ["\t".join(f'"{name}"' for name in INFO_COLUMNS)]
    for id_, (path, carried) in enumerate(tags_of().items(), start=2):
        cells = [str(id_), *("01"[tag in carried] for tag in COLUMNS), path]
        lines.append("\t".join(f'"{cell}"' for cell in cells))
        album = path.split("-")[1]
        title = 'A ""quoted"" song' if "song" in path else path
        about = (id_, 1, title, "artist", album, "http://x/", 0, 29, "http://x/y.mp3", path)
        info.append("\t".join(f'"{cell}"' for cell in about))
    info.append('"99"\t"1"\t"never cut"\t"x"\t"y"\t"http://x/"\t"0"\t"29"\t""\t""')
    (directory / ANNOTATIONS).write_text("\n".join(lines) + "\n", "utf-8")
    if clip_info:
        (directory / CLIP_INFO).write_text("\n".join(info) + "\n", "utf-8")
    return directory


@functools.cache
def audio() -> dict[str, bytes]:
    """mp3_path → the content of the file."""
    tones = [sounds.encode("mp3", sounds.tone(200.0 + 300 * k, 29.1, rate_hz=16_000, channels=1),
                           16_000, bit_rate=32_000) for k in range(2)]  # fmt: skip
    short = sounds.encode("mp3", sounds.tone(500, 8, rate_hz=16_000, channels=1), 16_000)
    files = {path: tones[n % 2] for n, path in enumerate(tags_of())}
    odd = {GARBAGE: b"not music at all" * 50, EMPTY: b"", SHORT: short, KNOWN_BROKEN: b""}
    return {**files, **odd}


def write_audio(directory: Path) -> Path:
    for path, content in audio().items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
    return directory


def archive(**more: bytes) -> dict[str, bytes]:
    """The three parts by name, cut at any byte as the original is. `more` are further members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for path, content in {**audio(), **more}.items():
            file.writestr(path, content)
    whole = packed.getvalue()
    third = len(whole) // 3
    cuts = (0, third, 2 * third, len(whole))
    return {
        name: whole[first:last]
        for name, first, last in zip(PARTS, cuts[:-1], cuts[1:], strict=True)
    }


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` on 127.0.0.1, and breaks connections when told to."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.cuts: list[
            int
        ] = []  # bytes after which the next bodies break off, one for each answer
        self.refusals: list[int] = []  # status codes of the next answers
        self.knows_ranges = True
        self.asked: list[tuple[str, str, str]] = []  # method, name, Range

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        name, wanted = self.path.rpartition("/")[2], self.headers["Range"] or ""
        self.server.asked.append((self.command, name, wanted))
        if body and self.server.refusals:
            self.send_error(self.server.refusals.pop(0))
            return
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        first = 0
        if wanted and self.server.knows_ranges:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if body:
            end = first + self.server.cuts.pop(0) if self.server.cuts else None
            self.wfile.write(content[first:end])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    with Server(files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            join(thread)
