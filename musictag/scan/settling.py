"""What was heard → tags → fields, and into the file."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from musictag import decision
from musictag.errors import FileError
from musictag.metadata import links
from musictag.metadata.fields import PROVENANCE, TEXTS
from musictag.outcome import Album, Change, Discarded, Outcome, Problem, Status
from musictag.scan import writing
from musictag.scan.additions import Additions
from musictag.scan.job import File, Job
from musictag.scan.known import DAMAGES, Known, stat_of
from musictag.scan.reading import read_fields
from musictag.stores import summary
from musictag.stores.stored import StoredHearing
from musictag.vocabulary import NOT_MUSIC

if TYPE_CHECKING:
    import os

    from musictag.config import Settings
    from musictag.hearing.checkpoint import Checkpoint
    from musictag.metadata import Written
    from musictag.scan.ports import AnyMetadata
    from musictag.stores.journal import Journal, Others, Writing
    from musictag.vocabulary import Vocabulary

Fields = Mapping[str, tuple[str, ...]]
"""Field → values."""
_Adding = Callable[..., Mapping[str, Change]]
"""Plans what is written beside: `Additions.changes`, of which some is known already."""
_Outcome = Callable[..., Outcome]
"""An Outcome of which some is known already."""

UNDONE = Problem("undone", "its tags were taken back; musictag scan --write writes them anew")


class Settling:
    """Plans what becomes of each file, and does it if there is a run to write in."""

    def __init__(  # noqa: PLR0913  # what a scan has, by name
        self,
        checkpoint: Checkpoint,
        settings: Settings,
        known: Known,
        *,
        metadata: AnyMetadata,
        payload_digest: Callable[[Path], bytes],
        journal: Journal | None = None,
        run: Writing | None = None,
        explain: bool = False,
        keep_undone: bool = False,
    ) -> None:
        vocabulary = settings.worded(checkpoint.vocabulary)
        self._specific: Vocabulary | None = None
        if settings.style:
            self._specific = replace(vocabulary, parents="none")
            vocabulary = replace(vocabulary, parents="only")
        self._vocabulary = vocabulary
        self._additions = Additions(settings, checkpoint, vocabulary)
        self._explain = explain
        self._keep_undone = keep_undone
        self._checkpoint = checkpoint
        self._own_words = checkpoint.own_words()
        self._settings = settings
        self._known = known
        self._metadata = metadata
        self._payload_digest = payload_digest
        self._journal = journal
        self._run = run

    def outcome(self, job: Job, album: Album | None = None) -> Outcome:
        """Decide what the track's fields should hold, and write them if there is a run.

        With `album` the genre is the album's.
        """
        # completed when all is known: copying an Outcome takes a tenth of a remembered file's time
        outcome = functools.partial(
            Outcome, job.path, model=self._checkpoint.name, from_cache=job.from_cache
        )
        if job.problem is not None:
            return outcome(status="failed", error=job.problem)
        try:
            self._keep_up(job)
            hearing = self._heard(job)
            problem = Problem(hearing.code, hearing.message)
            if hearing.code in DAMAGES:
                return outcome(status="failed", error=problem)
            outcome = functools.partial(outcome, duration_s=hearing.duration_s)
            if hearing.code:
                return outcome(status="skipped", error=problem)
            probabilities = dict(zip(self._checkpoint.tags, self._said(hearing), strict=True))
            outcome = functools.partial(outcome, probabilities=probabilities)
            return self._decided(job, probabilities, outcome, album)
        except FileError as error:
            return outcome(status="failed", error=Problem.of(error))

    def heard(self, job: Job) -> dict[str, float] | None:
        """Tag → probability of a track that has no outcome yet; None if it is no music, or has a
        problem, which its outcome will tell."""
        if job.problem is not None:
            return None
        try:
            self._keep_up(job)
            return self.music(self._heard(job))
        except FileError:
            return None

    def music(self, hearing: StoredHearing) -> dict[str, float] | None:
        """Tag → probability; None for what is no music."""
        if hearing.code:
            return None
        probabilities = dict(zip(self._checkpoint.tags, self._said(hearing), strict=True))
        is_music = decision.not_music(probabilities, self._checkpoint.vocabulary) is None
        return probabilities if is_music else None

    def chosen(
        self, probabilities: Mapping[str, float], discarded: list[Discarded]
    ) -> dict[str, tuple[str, ...]]:
        """The values for what was heard. What was not chosen is added to `discarded`, if the scan
        was asked for it."""
        notes = discarded if self._explain else None
        limits = self._settings.limits
        found = decision.choose(probabilities, self._vocabulary, limits=limits, discarded=notes)
        if self._specific is not None:
            words = decision.choose(probabilities, self._specific, limits=limits)["GENRE"]
            found["STYLE"] = tuple(word for word in words if word not in found["GENRE"])
        return found

    def genres_to_keep(self, path: Path, file: File) -> tuple[str, ...]:
        """The genres in a file that are not ours, where the policy is to keep them."""
        if file.fields is None or self._settings.policies.get("GENRE") != "keep":
            return ()
        old = file.fields.values
        genres = old.get("GENRE", ())
        if not genres or self._journal is None or file.content is None:
            return genres
        others = writing.others(self._journal, path, file.content, old, ["GENRE"])
        return others.get("GENRE", genres)

    def _heard(self, job: Job) -> StoredHearing:
        """What was heard in the track, from now on remembered."""
        if job.hearing is None:
            probabilities = decision.track_probabilities(job.taggram)
            job.heard = StoredHearing(
                job.duration_s or 0.0, probabilities, summary=job.summing.packed()
            )
        self._known.remember(job)
        assert job.hearing is not None
        return job.hearing

    def _said(self, hearing: StoredHearing) -> tuple[float, ...]:
        """Probabilities of the model's tags, which may be one's own words for what its base
        heard."""
        if self._own_words is None:
            return hearing.probabilities
        assert hearing.summary is not None  # or it would have been heard again
        mean, spread = summary.unpacked(hearing.summary)
        return self._own_words.of_track(hearing.probabilities, mean, spread)

    def _decided(
        self,
        job: Job,
        probabilities: Mapping[str, float],
        outcome: _Outcome,
        album: Album | None,
    ) -> Outcome:
        """Probabilities → chosen values → fields."""
        code = decision.not_music(probabilities, self._checkpoint.vocabulary)
        if code is not None:
            return outcome(status="skipped", error=Problem(code, NOT_MUSIC[code]))
        discarded: list[Discarded] = []
        chosen = self.chosen(probabilities, discarded)
        heard = dict.fromkeys(chosen, probabilities)
        if album is not None:
            chosen["GENRE"] = album.genres
            if "STYLE" in chosen:
                chosen["STYLE"] = album.styles
            heard |= dict.fromkeys(("GENRE", "STYLE"), album.probabilities)
            of_track = [found for found in discarded if found.field != "GENRE"]
            discarded = [*album.discarded, *of_track]
            outcome = functools.partial(outcome, album=album)
        outcome = functools.partial(outcome, chosen=chosen, discarded=tuple(discarded))
        add = functools.partial(self._additions.changes, chosen=chosen, heard=heard)
        try:
            return self._settled(job, chosen, add, outcome)
        except FileError as error:
            return outcome(status="failed", error=Problem.of(error))

    def _settled(self, job: Job, chosen: Fields, add: _Adding, outcome: _Outcome) -> Outcome:
        """Chosen values → fields; planned again, once, if somebody set a field just before us."""
        fields = _file(job).fields
        assert fields is not None  # or the track would not have been heard
        if fields.code:
            return outcome(status="skipped", error=Problem(fields.code, fields.message))
        settled = self._planned_and_written(job, chosen, add, outcome)
        if settled.error is not None and settled.error.code == "changed":
            self._read_again(job, stat_of(job.path))
            settled = self._planned_and_written(job, chosen, add, outcome)
        return settled

    # -- files that change meanwhile

    def _keep_up(self, job: Job) -> None:
        """Look again at a file that changed since it was looked at."""
        now, then = stat_of(job.path), _file(job).stat
        if not _same(now, then) or now.st_ctime_ns != then.st_ctime_ns:
            self._read_again(job, now)

    def _read_again(self, job: Job, now: os.stat_result) -> None:
        """Read the fields anew, which somebody (perhaps we, under another name of the file) may
        have set; FileError `changed` if it is no longer the sound that was heard."""
        file = _file(job)
        if not _same(now, file.stat) and (
            file.content is None or self._payload_digest(job.path) != file.content
        ):
            reason = "the file changed while it was being heard"
            raise FileError(job.path, "changed", reason, cure="scan it again")
        fields = file.fields and read_fields(self._metadata, job.path)
        job.file = replace(file, stat=now, fields=fields, is_stored=False)

    # -- planning

    def _planned_and_written(
        self, job: Job, chosen: Fields, add: _Adding, outcome: _Outcome
    ) -> Outcome:
        file = _file(job)
        assert file.fields is not None
        old = file.fields.values
        others = self._others(job.path, file, chosen)
        settings = self._settings
        fields = decision.plan(old, chosen, settings.policies, others=others, join=settings.join)
        fields |= add(old, planned=fields)
        status: Status = "unchanged"
        try:
            if any(change.changed for change in fields.values()):
                if self._is_undone(job.path, file):
                    return outcome(status="skipped", error=UNDONE)
                status = "planned"
                if self._run is not None:
                    status = self._write(self._run, job, fields, others)
                elif file.stat.st_nlink > 1 and settings.hardlinks == "refuse":
                    reason = links.reason(file.stat.st_nlink)
                    raise FileError(job.path, links.CODE, reason, cure=links.CURE)
        except FileError as error:
            return outcome(status="failed", fields=fields, error=Problem.of(error))
        return outcome(status=status, fields=fields)

    def _others(self, path: Path, file: File, chosen: Fields) -> Others:
        """The values in the file that are not ours; looked up only where the plan depends on it."""
        if self._journal is None or file.content is None or file.fields is None:
            return {}
        old = file.fields.values
        undecided = [
            name
            for name in self._settings.policies
            if chosen.get(name) and old.get(name, ()) != chosen[name]
        ]
        if self._settings.join is not None or (undecided and self._run is not None):
            # of every field: what stays ours is written down again
            return writing.others(self._journal, path, file.content, old)
        if any(old.get(name) for name in undecided):
            return writing.others(self._journal, path, file.content, old, undecided)
        return {}

    def _is_undone(self, path: Path, file: File) -> bool:
        """Whether an undo took this music's tags back, and that is to stay so."""
        if not self._keep_undone or self._journal is None or file.content is None:
            return False
        return self._journal.was_undone(path, file.content)

    # -- writing

    def _write(
        self, run: Writing, job: Job, fields: Mapping[str, Change], others: Others
    ) -> Status:
        """Write what changes. This is the one place where a scan writes.

        What `keep` and `merge` made of the old values holds only while those are still there, and
        what stays ours only while nobody has set it, so the writer is told what to expect. The
        cache learns the file as it is afterwards, so the next scan does not take it for a new one.
        """
        file = _file(job)
        assert file.fields is not None
        old = file.fields.values
        changes = {name: change for name, change in fields.items() if change.changed}
        still = {
            name: tuple(value for value in others.get(name, change.old) if value in change.new)
            for name, change in changes.items()
        }
        ours = {  # of the rest of a comment nobody asks whose it is
            name: values
            for name, values in {**others, **still}.items()
            if name not in (*TEXTS, *PROVENANCE)
        }
        with writing.written_down(run, job.path, others=ours) as about_to:
            written = self._metadata.write(
                job.path,
                {name: change.new for name, change in changes.items()},
                expected={name: old.get(name, ()) for name in {*changes, *others}},
                preserve_mtime=self._settings.preserve_mtime,
                join=self._settings.join,
                payload_digest=self._payload_digest,
                hardlinks=self._settings.hardlinks,
                about_to=self._checked(job.path, file, about_to),
            )
        with contextlib.suppress(FileError):  # gone or changed again already: it was written
            now = stat_of(job.path)
            job.file = replace(file, stat=now, fields=read_fields(self._metadata, job.path))
            self._known.remember_file(job.path, job.file)
        return "unchanged" if written is None else "written"

    def _checked(
        self, path: Path, file: File, about_to: Callable[[Written], None]
    ) -> Callable[[Written], None]:
        """`about_to`, unless the sound is not the one that was heard.

        The file was known by its size and time alone; the writer has looked at its sound.
        """

        def checked(written: Written) -> None:
            if written.payload != file.content:
                if written.payload is not None:
                    now = File(file.stat, written.payload)
                    self._known.remember_file(path, now)
                reason = "it is not the music that was heard"
                raise FileError(path, "changed", reason, cure="scan it again")
            about_to(written)

        return checked


def _file(job: Job) -> File:
    assert job.file is not None  # a job without a file has a problem
    return job.file


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    """Compares size and time only: some network file systems number a file anew at every look."""
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
