"""Commands and options, and nothing else.

Everything heavy is imported inside the command that needs it: `--help` loads
neither torch nor any of the libraries that open files.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import functools
import io
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn, TextIO

import typer
import typer.core

from musictag import __version__, config
from musictag.audio import spawn
from musictag.errors import (
    CheckpointError,
    DataSetError,
    DeviceError,
    FileError,
    JournalError,
    MusictagError,
    UsageError,
)

if TYPE_CHECKING:
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.outcome import Outcome
    from musictag.report.scan import Progress, Report
    from musictag.scan.ports import Workers
    from musictag.stores.journal import Journal, Run
    from musictag.training.dataset import DataSet
    from musictag.training.magnatagatune import Beginning, Fetched, Unpacked

DEFAULTS = config.Settings()
DEVICES = "auto, cpu, cuda, cuda:N or mps."

log = logging.getLogger("musictag")

app = typer.Typer(
    help="Hears a music library and writes genre, mood, instruments and vocals into its files.",
    epilog="Exit codes: 0 all well, 1 some files failed, 2 wrong usage, settings, model or data "
    "set, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and plain tracebacks: nothing to load for colours, nothing hidden.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The program `musictag`."""
    # NumPy's library for matrices, of which we use next to nothing, would keep the cores busy
    # waiting for work
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _prepare_streams()
    if logging.lastResort is not None:  # what is logged where no command listens
        logging.lastResort.setFormatter(_Line("musictag: %(message)s"))
    # A kill unwinds like Ctrl-C, so that temporary files go and threads end.
    for number in _signals():
        signal.signal(number, signal.default_int_handler)
    try:
        try:
            app(prog_name="musictag")
        except SystemExit as end:
            _leave_torch_behind(end.code)
            raise
    except _StdoutError as error:
        _give_up_stdout()
        typer.echo(f"musictag: standard output: {error}", err=True)
        sys.exit(1)


def _leave_torch_behind(code: object) -> None:
    """End at once if torch or its libraries were at work, which take a tenth of a second to be
    taken apart.

    What others want done at the end is done; threads that still hear are not waited for.
    """
    if not {"torch", "musictag.hearing.kernels.mkl"} & set(sys.modules) or not isinstance(
        code, int
    ):
        return
    with contextlib.suppress(BrokenPipeError):  # Python's own end has words for that
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(code)


def _signals() -> list[signal.Signals]:
    """What asks a program to end. Ignored from the start is how nohup says that we shall not."""
    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    return [n for n in numbers if n is not None and signal.getsignal(n) is not signal.SIG_IGN]


class _StdoutError(Exception):
    """Results cannot be written: no file's fault and no bug, wherever in the program it is seen."""


class _Stdout(io.TextIOWrapper):
    def write(self, text: str) -> int:
        with self._named():
            return super().write(text)

    def flush(self) -> None:
        with self._named():
            super().flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # that is somebody who has seen enough
            raise
        except OSError as error:
            raise _StdoutError(error.strerror or error) from error


class _Stderr(io.TextIOWrapper):
    """What cannot be said is no reason to stop: results still come, with their exit code."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()


def _prepare_streams() -> None:
    """Each standard stream is open, and one that takes nothing is no bug of ours.

    What is opened next would take the place of a closed one, and a library's
    word to standard error would land in a music file.
    """
    for descriptor in (0, 1, 2):
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # to the end
    elif sys.stderr is sys.__stderr__:
        sys.stderr = _like(sys.stderr, _Stderr)
    if sys.stdout is None:
        typer.echo("musictag: standard output is closed", err=True)
        sys.exit(1)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _like(sys.stdout, _Stdout)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _like(stream: TextIO | None, kind: type[io.TextIOWrapper]) -> io.TextIOWrapper:
    assert isinstance(stream, io.TextIOWrapper)
    return kind(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _give_up_stdout() -> None:
    """At exit Python tries again what it could not write, and would complain once more."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _path(text: str) -> Path:
    """Path("") would be the current folder, and nobody who left out a name asked for that."""
    return Path(_name(text))


def _name(text: str) -> str:
    if not text:
        raise typer.BadParameter("the name is empty (a variable that is not set?)")
    return text


def _number_or_word(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"musictag {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


# ---------------------------------------------------------------- scan

_WHAT = "What to scan"
_FIELDS = "What to write"
_HEARING = "How to hear"
_OUTPUT = "What to print"
_HARDLINKS = (
    "Files with other names (hard links): refuse, replace (a new file under this name, the others "
    "keep the old one) or in-place (all names; not safe from a power cut). [default: refuse]"
)


Form = Annotated[str, typer.Option("--format", metavar="FORM", help="table, jsonl, csv or tsv.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only failures on standard error.")]
LogFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Append what happened to FILE.", parser=_path)
]


class _Scan(typer.core.TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _addressed(args))


_ADDRESS = re.compile(r"auto|local|ray://.*|[^/\s]+:\d+")


def _addressed(args: list[str]) -> list[str]:
    """`--ray` may stand alone: what follows is its value only if it looks like an address, since
    it may just as well be what to scan."""
    end = args.index("--") if "--" in args else len(args)
    found: list[str] = []
    for arg in args[:end]:
        if found[-1:] == ["--ray="] and _ADDRESS.fullmatch(arg):
            found[-1] += arg
        else:
            found.append("--ray=" if arg == "--ray" else arg)
    return found + args[end:]


@app.command(
    cls=_Scan, short_help="Hear music and show what would be written; with --write, write it."
)
def scan(  # noqa: PLR0913  # one argument per option
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH", help="Music files and folders.", show_default=False, parser=_path
        ),
    ] = None,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Write the tags. Without it no file is touched.")
    ] = False,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Fields to write, from genre,mood,instrument,vocals. [default: genre,mood]",
        ),
    ] = None,
    existing: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="Values already there: keep (fill only empty fields), merge or replace; "
            "or by field: genre=replace,mood=merge. [default: keep]",
        ),
    ] = None,
    max_genres: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Most genres. [default: {DEFAULTS.max_genres}]"),
    ] = None,
    max_moods: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Most moods. [default: {DEFAULTS.max_moods}]"),
    ] = None,
    max_instruments: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Most instruments. [default: {DEFAULTS.max_instruments}]"),
    ] = None,
    max_vocals: Annotated[
        int | None,
        typer.Option(metavar="N", help=f"Most words on vocals. [default: {DEFAULTS.max_vocals}]"),
    ] = None,
    join: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Write several values as one, with this between. [default: one entry per value]",
        ),
    ] = None,
    preserve_mtime: Annotated[
        bool | None,
        typer.Option(
            "--preserve-mtime/--no-preserve-mtime",
            help="Keep the modification time of written files. [default: no]",
        ),
    ] = None,
    files_from: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Scan the files listed in FILE, - for standard input."),
    ] = None,
    null: Annotated[
        bool, typer.Option("-0", "--null", help="The list's names end with NUL, not newline.")
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files and folders like this; may repeat."),
    ] = None,
    segments: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Hear N evenly spaced 29 s segments per track. [default: all of it]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR", help="The model. [default: the one that comes along]"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"{DEVICES} [default: auto]"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            help=f"Decoding processes, at most {config.MOST_JOBS}. [default: one per core]",
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Segments heard at once. auto: up to 64 for each CPU core, on a GPU what fits its "
            "memory; fewer when that runs out. [default: auto]",
            parser=_number_or_word,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Decode and hear on a Ray cluster: HOST:PORT, auto (the one this machine is part "
            "of), local (a new one, of this machine). Without ADDRESS: auto if there is one, else "
            "local.",
        ),
    ] = None,
    hardlinks: Annotated[
        str | None,
        typer.Option(metavar="HOW", help=_HARDLINKS),
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option(
            "--cache/--no-cache", help="Remember what was heard, for later scans. [default: yes]"
        ),
    ] = None,
    form: Form = "table",
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show tracks that stay as they are.")
    ] = False,
    log_file: LogFile = None,
) -> None:
    """Hear music and show what would be written; with --write, write it.

    The table shows what changes. jsonl, csv and tsv have one record for every file.
    Settings that stay are kept in config.toml in musictag's configuration folder.
    """
    with _endings(), contextlib.ExitStack() as until_the_end:
        settings = config.override(
            config.load(),
            {
                "fields": fields,
                "existing": existing,
                "max_genres": max_genres,
                "max_moods": max_moods,
                "max_instruments": max_instruments,
                "max_vocals": max_vocals,
                "join": join,
                "preserve_mtime": preserve_mtime,
                "hardlinks": hardlinks,
                "exclude": exclude or None,
                "segments": segments,
                "model": model,
                "device": device,
                "jobs": jobs,
                "batch_size": batch_size,
                "cache": cache,
            },
        )
        if ray is None:
            until_the_end.enter_context(spawn.ahead())
        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.report import scan as report  # noqa: PLC0415

        _check_word("--format", form, report.FORMATS)
        listed, count = _listed(paths or [], files_from, null=null, exclude=settings.exclude)
        ears = checkpoint.find(settings.model)
        _prepare_stdout(form)

        # What can be wrong in the asking has been looked at; now the libraries that open files.
        from musictag.scan import pipeline  # noqa: PLC0415
        from musictag.stores import cache as caches  # noqa: PLC0415

        with (
            _Interruption() as interruption,
            report.Report(
                form,
                settings.fields,
                stdout=sys.stdout,
                stderr=sys.stderr,
                summary=functools.partial(report.Tally.summary, write=write),
                quiet=quiet,
                verbose=verbose,
                count=count,
            ) as told,
            _logging(told, quiet=quiet, verbose=verbose, log_file=log_file),
            caches.Cache(caches.default_path() if settings.cache else None) as remembered,
            _journal(write=write) as journal,
            _workers(ray, ears, settings) as workers,
            contextlib.closing(
                pipeline.scan(
                    listed,
                    ears,
                    settings,
                    cache=remembered,
                    journal=journal,
                    write=sys.argv[1:] if write else None,
                    stopped=interruption,
                    progress=lambda path, s, _: told.heard(path, s),
                    workers=workers,
                )
            ) as outcomes,
        ):
            for outcome in outcomes:
                _tell(told, outcome)
            interruption.check()
        raise typer.Exit(1 if told.n_failed else 0)


@contextlib.contextmanager
def _workers(
    address: str | None, ears: Checkpoint, settings: config.Settings
) -> Iterator[Workers | None]:
    """The workers of a cluster, if one is asked for."""
    if address is None:
        yield None
        return
    from musictag.cluster import connection, ray_library  # noqa: PLC0415

    with (
        ray_library.for_a_program(),
        connection.connected(address, ears, settings) as workers,
    ):
        yield workers


def _tell(told: Report, outcome: Outcome) -> None:
    from musictag.report.scan import log_line  # noqa: PLC0415

    told.add(outcome)
    level = logging.ERROR if outcome.status == "failed" else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s", log_line(outcome), extra=_TOLD)


@contextlib.contextmanager
def _journal(*, write: bool) -> Iterator[Journal | None]:
    """The journal to write in, with nothing left open; to look only, what there is of it."""
    from musictag.scan import writing  # noqa: PLC0415
    from musictag.stores import journal as journals  # noqa: PLC0415

    path = journals.default_path()
    opened: Journal | None = None
    try:
        if write or journals.exists(path):
            opened = journals.Journal(path, read_only=not write)
    except (JournalError, UsageError) as error:
        if write:
            raise
        log.warning("%s", error)
    with opened or contextlib.nullcontext():
        if write and opened is not None:
            writing.settle(opened)
        yield opened


def _check_word(option: str, word: str, words: Sequence[str]) -> None:
    if word not in words:
        raise UsageError(f"{option} {word}: there are {', '.join(words)}")


def _listed(
    paths: list[Path], files_from: str | None, *, null: bool, exclude: tuple[str, ...]
) -> tuple[Iterable[Path | FileError], Callable[[], int] | None]:
    """What to scan, and a way to count it, where it can be gone through twice."""
    from musictag import files  # noqa: PLC0415

    if files_from is None:
        if not paths:
            raise UsageError("nothing to scan: name files or folders, or a list with --files-from")
        if null:
            raise UsageError("-0 says how a list is written: it needs --files-from")
        return files.walk(paths, exclude=exclude), lambda: _length(
            files.walk(paths, exclude=exclude)
        )
    if paths:
        raise UsageError("either name files and folders, or give a list with --files-from")
    if files_from == "-":
        if sys.stdin is None:
            raise UsageError("--files-from -: standard input is closed")
        # Not sys.stdin: at an interrupt the thread that waits for a name would hold its lock, and
        # Python dies of that.
        return _entries(open(0, "rb", closefd=False), null, exclude), None
    listing = Path(files_from)
    try:
        stream = listing.open("rb")
    except OSError as error:
        raise UsageError(f"--files-from {files_from}: {error.strerror}") from error
    if not listing.is_file():
        return _entries(stream, null, exclude), None
    return _entries(stream, null, exclude), lambda: _length(
        _entries(listing.open("rb"), null, exclude)
    )


def _entries(stream: BinaryIO, null: bool, exclude: tuple[str, ...]) -> Iterator[Path]:
    from musictag import files  # noqa: PLC0415

    with stream:
        for path in files.read_list(stream, null=null):
            if not files.excluded(path, exclude):
                yield path


def _length(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


def _prepare_stdout(form: str) -> None:
    """Names that the terminal's encoding lacks must not end a scan."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        if form in ("csv", "tsv"):
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
        else:
            sys.stdout.reconfigure(errors="backslashreplace")


# ---------------------------------------------------------------- history and undo

_NOTHING = "no run that wrote files is on record"
_RUN = re.compile("[0-9]{1,18}")
"""A run's number; with more digits no journal has one."""


@app.command(short_help="Give files back what they had before a run.")
def undo(  # noqa: PLR0913  # one argument per option
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PATH",
            help="A run's number (musictag history lists them), and files and folders if only "
            "these are meant. A file that is called 12 is ./12. [default: the latest scan that "
            "has not been undone, all its files]",
            show_default=False,
        ),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be restored. No file is touched.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also files whose fields somebody has changed since.")
    ] = False,
    preserve_mtime: Annotated[
        bool | None,
        typer.Option(
            "--preserve-mtime/--no-preserve-mtime",
            help="Keep the modification time of restored files. [default: no]",
        ),
    ] = None,
    hardlinks: Annotated[str | None, typer.Option(metavar="HOW", help=_HARDLINKS)] = None,
    form: Form = "table",
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show files that were restored already.")
    ] = False,
    log_file: LogFile = None,
) -> None:
    """Give files the genre, mood, instruments and vocals back that they had before a run.

    Everything else in them stays. A file whose fields somebody has changed
    since is left alone and named; others go on. An undo is a run too: its
    number undoes it.
    """
    with _endings():
        options = {"preserve_mtime": preserve_mtime, "hardlinks": hardlinks}
        settings = config.override(config.load(), options)
        number, paths = _run_and_paths(what or [])
        from musictag.report import scan as report  # noqa: PLC0415
        from musictag.stores import journal as journals  # noqa: PLC0415

        _check_word("--format", form, report.FORMATS)
        if not journals.exists(journals.default_path()):
            _end_with(_NOTHING)
        _prepare_stdout(form)
        from musictag.scan import undo as undoing  # noqa: PLC0415
        from musictag.stores import cache as caches  # noqa: PLC0415

        with _Interruption() as interruption, _journal(write=True) as journal:
            assert journal is not None
            run = undoing.choose(journal, number, paths)
            entries = [] if run is None else undoing.standing(journal, run, paths)
            if run is None or not entries:
                _check_exist(paths)
                _end_with("there is nothing to undo" + (" there" if paths else ""))
            with (
                report.Report(
                    form,
                    _columns(journal, run),
                    stdout=sys.stdout,
                    stderr=sys.stderr,
                    summary=report.Tally.summary_of_undo,
                    quiet=quiet,
                    verbose=verbose,
                    count=lambda: len(entries),
                ) as told,
                _logging(told, quiet=quiet, verbose=verbose, log_file=log_file),
                caches.Cache(caches.default_path() if settings.cache else None) as remembered,
                contextlib.closing(
                    undoing.undo(
                        journal,
                        run,
                        entries,
                        settings,
                        cache=remembered,
                        write=None if dry_run else sys.argv[1:],
                        force=force,
                        stopped=interruption,
                    )
                ) as outcomes,
            ):
                if not quiet:
                    told.say(f"musictag: undoing {report.title(run)}")
                for outcome in outcomes:
                    _tell(told, outcome)
                interruption.check()
        raise typer.Exit(1 if told.n_failed else 0)


def _run_and_paths(what: list[str]) -> tuple[int | None, list[Path]]:
    """A number in front is a run, all else are paths."""
    is_number = [_RUN.fullmatch(word) is not None for word in what]
    if any(is_number[1:]):
        word = what[is_number.index(True, 1)]
        raise UsageError(f"{word}: one run, before the paths (a file of this name is ./{word})")
    number = int(what[0]) if is_number[:1] == [True] else None
    return number, [_path(word) for word in what[0 if number is None else 1 :]]


def _check_exist(paths: list[Path]) -> None:
    from musictag import files  # noqa: PLC0415

    files.check_roots(paths)


def _end_with(message: str) -> NoReturn:
    """There is nothing to do, which is all well."""
    _complain(message)
    raise typer.Exit(0)


@app.command(short_help="List the runs that wrote files, and what they changed.")
def history(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|prune",
            help="A run's number, to see its files; or prune, to forget old runs. [default: list "
            "all runs]",
            show_default=False,
        ),
    ] = None,
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="With prune: forget what is older, as 90d, 12w, 6m or 1y (days, weeks, months of "
            "30 days, years of 365). It cannot be undone any more.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the latest N runs. [default: all]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per run, or per file of a run.")
    ] = False,
) -> None:
    """List the runs that wrote files, the newest first; or the files of one, and what changed."""
    with _endings():
        if (what == "prune") != (older_than is not None):
            raise UsageError("to forget old runs: musictag history prune --older-than AGE")
        number = None if what in (None, "prune") else _number(what)
        age_s = None if older_than is None else _age_s(older_than)
        from musictag.report.scan import counted  # noqa: PLC0415
        from musictag.stores import journal as journals  # noqa: PLC0415

        if not journals.exists(journals.default_path()):
            _end_with(_NOTHING)
        _prepare_stdout("table")
        with _journal(write=True) as journal:
            assert journal is not None
            if age_s is not None:
                n_runs, n_files = journal.prune(time.time() - age_s)
                runs, files = counted(n_runs, "run"), counted(n_files, "file")
                typer.echo(f"forgot {runs}, with what was written into {files}")
            elif number is None:
                _list_runs(journal, limit, as_json=as_json)
            else:
                _list_files(journal, number, as_json=as_json)


def _number(text: str | None) -> int:
    if text is None or not _RUN.fullmatch(text):
        raise UsageError(f"{text}: not the number of a run (musictag history lists them)")
    return int(text)


def _age_s(text: str) -> float:
    match = re.fullmatch("([0-9]{1,5})([dwmy])", text)
    if match is None:
        raise UsageError(f"--older-than {text}: expected an age as 90d, 12w, 6m or 1y")
    return int(match[1]) * {"d": 1, "w": 7, "m": 30, "y": 365}[match[2]] * 86_400.0


def _list_runs(journal: Journal, limit: int | None, *, as_json: bool) -> None:
    from musictag.report import scan as report  # noqa: PLC0415

    table = report.RunTable(sys.stdout)
    number = 0
    most = None if limit is None else min(limit, sys.maxsize)
    for number, run in enumerate(journal.runs(limit=most), 1):
        if number == 1 and not as_json:
            typer.echo(table.heading)
        typer.echo(report.run_json(run) if as_json else table.line(run))
    if not number:
        _end_with(_NOTHING)


def _list_files(journal: Journal, wanted: int, *, as_json: bool) -> None:
    from musictag.outcome import Outcome  # noqa: PLC0415
    from musictag.report import scan as report  # noqa: PLC0415
    from musictag.scan import undo as undoing  # noqa: PLC0415

    run = undoing.choose(journal, wanted, [])
    assert run is not None
    if as_json:
        for entry in journal.entries(run.id):
            typer.echo(report.entry_json(entry, undoing.changes(entry)))
        return
    n_files = report.counted(run.n_files, "file")
    told = f"{report.title(run)}: {n_files}, {run.ending or 'not ended'}"
    typer.echo(told[0].upper() + told[1:])
    table = report.Table(_columns(journal, run), sys.stdout)
    for stands in (True, False):
        entries = journal.entries(run.id, stands=stands)
        for number, entry in enumerate(entries):
            if number == 0 and not stands:
                typer.echo("Undone since:")
            written = Outcome(entry.path, "written", fields=undoing.changes(entry))
            typer.echo("\n".join(table.lines(written)))


def _columns(journal: Journal, run: Run) -> list[str]:
    """The fields that a run changed, in the order of the fields."""
    from musictag.vocabulary import FIELDS  # noqa: PLC0415

    return sorted(journal.fields(run.id), key=FIELDS.index)


# ---------------------------------------------------------------- model


@app.command("model", short_help="Say what a model is, and the values it can give.")
def show_model(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|DIR", help="The model. [default: that of the settings, or ours]"
        ),
    ] = None,
) -> None:
    """Say what a model is: its front end, network, tags, and the values it can give."""
    with _endings():
        settings = config.override(config.load(), {"model": name})
        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.report.scan import visible  # noqa: PLC0415
        from musictag.vocabulary import FIELDS  # noqa: PLC0415

        found = checkpoint.find(settings.model)
        lines = {
            "name": found.name,
            "directory": os.fspath(found.directory),
            "digest": found.digest,
            "front end": _pairs(found.front_end),
            "network": _pairs(found.architecture),
            "tags": ", ".join(found.tags),
        }
        for field in FIELDS:
            values = found.vocabulary.in_field(field)
            given = [f"{v.name} {v.threshold:.2f}" for v in values if v.threshold is not None]
            lines[field.lower()] = ", ".join(given)
        for title, line in lines.items():
            typer.echo(f"{title:<12}{visible(line)}")
        typer.echo("(The number behind a value is the probability from which it is chosen.)")


def _pairs(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


# ---------------------------------------------------------------- taggram


@app.command("taggram", short_help="Draw what is heard in one track over time.")
def show_taggram(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A music file.", parser=_path)],
    *,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR", help="The model. [default: the one that comes along]"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"{DEVICES} [default: auto]")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Every segment's probabilities, as one JSON object.")
    ] = False,
) -> None:
    """Draw what is heard in one track over time, and what would be chosen. Nothing is written."""
    with _endings():
        settings = config.override(config.load(), {"model": model, "device": device})
        from musictag.hearing import checkpoint  # noqa: PLC0415

        found = checkpoint.find(settings.model)
        import json  # noqa: PLC0415

        from musictag.report import scan as report  # noqa: PLC0415
        from musictag.scan import taggram  # noqa: PLC0415

        heard = taggram.hear(file, found, settings)
        _prepare_stdout("table")
        if as_json:
            typer.echo(json.dumps(heard.to_json()))
        else:
            typer.echo("\n".join(report.draw_taggram(heard, sys.stdout)))


# ---------------------------------------------------------------- training


@app.command(short_help="Make a model from music and labels.")
def train(  # noqa: PLR0913  # one argument per option
    *,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="DIR|mtat",
            help="Folder with clips.csv (id, file, start, duration, track, split) and "
            "soft_labels.csv (id, one column per tag), or laid out like MagnaTagATune. mtat is "
            "MagnaTagATune itself, downloaded if need be (3 GB); mtat:DIR the same in DIR.",
            show_default=False,
            parser=_name,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Where the run is kept.",
            show_default=False,
            parser=_path,
        ),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="The model's name.")] = "my-model",
    epochs: Annotated[int, typer.Option(metavar="N")] = 60,
    batch_size: Annotated[
        int, typer.Option(metavar="N", help="Examples per step, of all processes together.")
    ] = 64,
    learning_rate: Annotated[float, typer.Option(metavar="X", help="At its highest.")] = 1e-3,
    start_from: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Begin with this model's weights instead of anew: a name or a directory. With a "
            "few epochs and a lower rate that suits a model to labels of your own.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N")] = 0,
    variants: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Versions of each example's sound: itself, and N - 1 with other speed, equaliser, "
            "noise and bandwidth.",
        ),
    ] = 3,
    people: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="How far genres given by people (column genre of clips.csv) overrule the labels "
            "of training examples, from 0 to 1.",
        ),
    ] = 0.6,
    augment: Annotated[
        bool, typer.Option(help="Vary coefficients anew in every epoch and mix examples.")
    ] = True,
    patience: Annotated[
        int,
        typer.Option(metavar="N", help="Stop after N epochs without a better score; 0: never."),
    ] = 0,
    bfloat16: Annotated[
        bool, typer.Option(help="Half-precision products: faster on GPUs and CPUs with AMX.")
    ] = False,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where features are kept. [default: in the output]", parser=_path
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help=DEVICES)] = "auto",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Decoding threads. [default: one per core]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the same command stopped.")
    ] = False,
) -> None:
    """Make a model from music and labels; its directory goes to standard output.

    The run can be killed at any time: the same command with --resume goes on.
    `musictag scan --model DIR` uses what it made. With several GPUs or machines:
    `torchrun --nproc-per-node N -m musictag train …`.
    """
    with _endings():
        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.hearing.ear_torch import find_device  # noqa: PLC0415
        from musictag.report import scan as report  # noqa: PLC0415

        found = find_device(config.override(config.load(), {"device": device}).device)
        from musictag.training import magnatagatune, ranks  # noqa: PLC0415
        from musictag.training.dataset import DataSet  # noqa: PLC0415
        from musictag.training.train import (  # noqa: PLC0415
            AUGMENTATIONS,
            EpochResult,
            FeatureProgress,
            TrainSettings,
        )
        from musictag.training.train import train as run  # noqa: PLC0415

        settings = TrainSettings(
            dataset=magnatagatune.directory_of(dataset) or Path(dataset),
            output=output,
            name=name,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            start=checkpoint.find(start_from).directory if start_from else None,
            n_variants=variants,
            people=people,
            augmentations=AUGMENTATIONS if augment else (),
            patience=patience,
            bfloat16=bfloat16,
            features=features,
            device=ranks.own_device(found),
            workers=workers,
            resume=resume,
        )

        def tell(news: DataSet | FeatureProgress | EpochResult) -> None:
            if isinstance(news, DataSet):
                _say_contents(news, progress)
            elif isinstance(news, FeatureProgress):
                progress.step("features", news.done, news.total, "examples")
            else:
                progress.say(
                    f"epoch {news.epoch:3} of {news.epochs}   loss {news.loss:.4f}   "
                    f"ROC-AUC {news.roc_auc:.4f}   correlation {news.correlation:.4f}   "
                    f"{news.seconds:.0f} s, {news.left_s / 60:.0f} min left"
                    f"{'   best' if news.best else ''}"
                )

        try:
            with ranks.joined(settings.device) as group, report.Progress(sys.stderr) as progress:
                if not group.first:  # it has nothing to put right, and may be waiting
                    for number in _signals():
                        signal.signal(number, signal.SIG_DFL)
                group.once(lambda: _fetch(dataset, progress))
                made = run(settings, tell=tell, ranks=group)
            if group.first:
                typer.echo(made)
        except KeyboardInterrupt:
            _complain("interrupted; the same command with --resume goes on")
            raise


@app.command(short_help="Judge a model on labelled music.")
def evaluate(
    *,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="DIR|mtat", help="A data set as for training.", show_default=False, parser=_name
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR", help="The model. [default: the one that comes along]"),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="train, validation or test.")] = "test",
    level: Annotated[
        str, typer.Option(metavar="NAME", help="segment, or track: the mean over its segments.")
    ] = "segment",
    device: Annotated[str, typer.Option(metavar="NAME", help=DEVICES)] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything, as one JSON object.")
    ] = False,
) -> None:
    """Judge a model on labelled music: ROC-AUC, PR-AUC and correlation, with 95 % intervals
    over tracks; calibration; precision and recall at its thresholds; genres against people's.

    Sound that cannot be read is left out, and said.
    """
    with _endings():
        import json  # noqa: PLC0415

        from musictag.hearing import checkpoint  # noqa: PLC0415
        from musictag.hearing.ear_torch import find_device  # noqa: PLC0415
        from musictag.scan import pipeline  # noqa: PLC0415

        settings = config.override(config.load(), {"device": device, "model": model})
        found = find_device(settings.device)
        from musictag.report import scan as report  # noqa: PLC0415
        from musictag.training import dataset as values  # noqa: PLC0415
        from musictag.training import datasets, scorecard  # noqa: PLC0415
        from musictag.training import evaluate as judge  # noqa: PLC0415

        # All that can be wrong in the asking, before hours of downloading or hearing.
        _check_word("--split", split, values.SPLITS)
        _check_word("--level", level, judge.LEVELS)
        ears = checkpoint.find(settings.model)
        pipeline.check_segments(ears)
        with report.Progress(sys.stderr) as progress:
            labelled = datasets.open_dataset(_fetch(dataset, progress))
            _say_contents(labelled, progress)
            evaluation = judge.evaluate(
                ears,
                labelled,
                split=split,
                level=level,
                device=found,
                tell=lambda done, total: progress.step("heard", done, total, "examples"),
            )
        for reason in evaluation.left_out.values():
            _complain(f"left out: {reason}")
        _prepare_stdout("table")
        if as_json:
            typer.echo(json.dumps(evaluation.to_json(), indent=1))
        else:
            # Line by line: tags are whatever the model's maker called them.
            typer.echo("\n".join(map(report.visible, scorecard.text(evaluation).split("\n"))))


def _fetch(name: str, progress: Progress) -> Path:
    """Where a data set is, by name or folder; there by now, if it is one that can be fetched."""
    from musictag.training import magnatagatune  # noqa: PLC0415

    directory = magnatagatune.directory_of(name)
    if directory is None:
        return Path(name)
    magnatagatune.fetch(directory, source=magnatagatune.SOURCE, tell=_fetching(progress))
    return directory


def _say_contents(found: DataSet, progress: Progress) -> None:
    from musictag.report.scan import counted  # noqa: PLC0415
    from musictag.training.dataset import SPLITS  # noqa: PLC0415

    for split in SPLITS:
        line = f"{split}: {counted(len(found.rows(split)), 'example')}"
        if n_dropped := found.untagged.get(split):
            line += f" ({n_dropped:,} more carry none of the tags)"
        progress.say(line)
    for reason in found.broken.values():
        progress.say(f"musictag: left out: {reason}")


def _fetching(progress: Progress) -> Callable[[Beginning | Fetched | Unpacked], None]:
    """What tells of a download: first all that one may want to stop it for, then how far it is,
    and in the end what is not needed any more."""
    from musictag.training import magnatagatune  # noqa: PLC0415

    def tell(news: Beginning | Fetched | Unpacked) -> None:
        if isinstance(news, magnatagatune.Fetched):
            total = None if news.total is None else news.total // 10**6
            progress.step(news.name, news.done // 10**6, total, "MB")
        elif isinstance(news, magnatagatune.Unpacked):
            progress.step("unpacked", news.done, news.total, "clips")
            if news.done == news.total:
                parts = ", ".join(magnatagatune.PARTS)
                progress.say(f"The archive is not needed any more, you may delete {parts}.")
        else:
            progress.say(
                f"MagnaTagATune goes to {news.directory}: {news.download_size / 1e9:.1f} GB to "
                f"download from {news.source}, {news.disk_size / 1e9:.1f} GB on the disk."
            )
            progress.say(f"Its licence is {news.licence}.")
            progress.say("This may be interrupted: the same command goes on.")

    return tell


# ---------------------------------------------------------------- endings


class _Interruption:
    """The first Ctrl-C or kill lets the file in hand be finished, the second ends all at once.

    Called, it says whether there was a first one.
    """

    def __enter__(self) -> _Interruption:
        self._asked = False
        self._before = {number: signal.signal(number, self._hear) for number in _signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self._asked

    def check(self) -> None:
        """Whoever has come to an end because of it says so in this way."""
        if self._asked:
            raise KeyboardInterrupt

    def _hear(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        # Not by way of sys.stderr: it may be just at work, and cannot be entered twice.
        erase = b"\r\x1b[2K" if os.isatty(2) else b""
        with contextlib.suppress(OSError):
            os.write(2, erase + b"musictag: stopping after the file in hand; again: at once\n")


@contextlib.contextmanager
def _endings() -> Iterator[None]:
    """How a command ends before its end: one line on stderr and the right exit code."""
    try:
        yield
    except (UsageError, CheckpointError, DataSetError, DeviceError) as error:  # the asking's fault
        _complain(str(error))
        raise typer.Exit(2) from None
    except MusictagError as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        _give_up_stdout()  # who read it has seen enough
        raise typer.Exit(128 + 13) from None


def _complain(message: str) -> None:
    from musictag.report.scan import visible  # noqa: PLC0415

    typer.echo(f"musictag: {visible(message)}", err=True)


def _check_text(log_file: Path) -> None:
    """Who forgets the name after --log-file has a piece of music stand there."""
    if log_file.is_file():
        with log_file.open("rb") as file:
            beginning = file.read(4096)
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise UsageError(f"--log-file {log_file}: it is there, and no text: left as it is")


class _Line(logging.Formatter):
    """Names and reasons come out of other people's files: one with a line break stays one line."""

    def format(self, record: logging.LogRecord) -> str:
        from musictag.report.scan import visible  # noqa: PLC0415

        return visible(super().format(record))


_TOLD = {"told": True}
"""Marks what the report has said already."""


@contextlib.contextmanager
def _logging(told: Report, *, quiet: bool, verbose: bool, log_file: Path | None) -> Iterator[None]:
    """Warnings go to stderr through the report, everything into the log file."""

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.say(f"musictag: {record.getMessage()}")

    class Book(logging.FileHandler):
        full = False

        def emit(self, record: logging.LogRecord) -> None:
            if not self.full:
                super().emit(record)

        def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802  # logging's name
            error = sys.exc_info()[1]
            if not isinstance(error, OSError):
                raise  # noqa: PLE0704  # called from an except of emit
            self.full = True
            reason = error.strerror or error
            told.say(f"musictag: --log-file {log_file}: {reason}; going on without it")

        def close(self) -> None:
            with contextlib.suppress(OSError):  # it tries again what it could not write
                super().close()

    teller = Teller(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
    teller.addFilter(lambda record: not hasattr(record, "told"))
    handlers: list[logging.Handler] = [teller]
    if log_file is not None:
        try:
            _check_text(log_file)
            book = Book(log_file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UsageError(f"--log-file {log_file}: {error.strerror}") from error
        book.setFormatter(_Line("%(asctime)s %(levelname)s %(message)s"))
        handlers.append(book)
    log.setLevel(logging.DEBUG if log_file is not None else teller.level)
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()
