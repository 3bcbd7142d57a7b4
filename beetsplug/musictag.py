"""A plugin for beets: genre, mood, instruments and vocals of what is in its library, by ear.

It hears with `musictag.tagger` and leaves the rest to beets: the fields are beets' own, and beets
writes them into the files. docs/beets.md describes it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import mediafile
from beets import config, ui
from beets.dbcore import types
from beets.library import Item
from beets.plugins import BeetsPlugin

HAS_GENRES = "genres" in Item._fields
"""Whether a track of this beets has several genres; if not, one text holds them."""
_LIST = getattr(types, "MULTI_VALUE_DSV", None)
"""beets' type for several texts, which old versions lack."""
FIELDS = {
    "GENRE": "genres" if HAS_GENRES else "genre",
    "MOOD": "mood",
    "INSTRUMENT": "instrument",
    "VOCALS": "vocals",
}
"""Field of musictag → field of beets."""
SETTINGS = (
    *("max_genres", "max_moods", "max_instruments", "max_vocals", "sure", "thresholds"),
    *("rename", "drop", "whitelist", "parents", "segments", "jobs", "batch_size", "cache"),
)
"""Settings of musictag that beets' configuration may hold, too."""


def types_of_fields() -> dict[str, types.Type]:
    """beets' type of each field that it does not have by itself."""
    return dict.fromkeys(("mood", "instrument", "vocals"), _LIST or types.STRING)


class MusictagPlugin(BeetsPlugin):
    """`beet musictag QUERY`, and with `auto: yes` on import."""

    item_types = types_of_fields()

    def __init__(self) -> None:
        super().__init__("musictag")
        self.config.add(
            {
                "auto": False,
                "fields": ["genre", "mood"],
                "existing": "keep",
                "separator": ", ",
                "model": None,
                "device": "auto",
            }
        )
        for name in ("mood", "instrument", "vocals"):
            self.add_media_field(name, self._media_field(name))
        if self.config["auto"].get(bool):
            self.import_stages = [self.imported]

    def commands(self) -> list[ui.Subcommand]:
        command = ui.Subcommand("musictag", help="genre, mood and more by ear")
        add = command.parser.add_option
        add("-p", "--pretend", action="store_true", help="show what would change")
        add("-f", "--force", action="store_true", help="the same as --existing replace")
        add("-e", "--existing", metavar="POLICY", help="keep, merge or replace what is there")
        add("-F", "--fields", metavar="LIST", help="some of genre,mood,instrument,vocals")
        command.func = self.command
        return [command]

    def command(self, lib, options, arguments) -> None:
        existing = options.existing or ("replace" if options.force else None)
        write = ui.should_write()
        for item in self.heard(list(lib.items(arguments)), self.wanted(options.fields), existing):
            ui.show_model_changes(item)
            if not options.pretend:
                item.try_sync(write, False)

    def imported(self, _, task) -> None:
        """Fill the fields of new items. beets writes the files when it has put them in place."""
        for item in self.heard(list(task.imported_items()), self.wanted()):
            item.store()

    # -- hearing

    def heard(self, items, fields, existing=None):
        """Hear these items; yields those that get other values, changed and not yet stored."""
        from musictag.errors import MusictagError  # noqa: PLC0415  # beets starts without it
        from musictag.tagger import Tagger  # noqa: PLC0415

        existing = existing or self.config["existing"].get()
        by_path = {}
        for item in items:
            path = Path(os.fsdecode(item.path))
            if path.is_file():
                by_path[path] = item
            else:
                self._log.warning("{}: there is no such file", path)
        if not by_path:
            return
        try:
            with (
                Tagger(self.config["model"].get(), self.config["device"].as_str()) as tagger,
                contextlib.closing(
                    tagger.scan(by_path, fields=fields, existing=existing, **self.settings())
                ) as outcomes,
            ):
                for outcome in outcomes:
                    item = by_path[outcome.path]
                    if outcome.error is not None:
                        self.tell(outcome)
                    elif self.changed(item, outcome, existing):
                        yield item
        except MusictagError as error:
            raise ui.UserError(f"musictag: {error}") from None

    def tell(self, outcome) -> None:
        """Say why a file has no values: failures as warnings, silence and the like only with -v."""
        say = self._log.warning if outcome.status == "failed" else self._log.info
        say("{}: {}", outcome.path, outcome.error.message)

    def changed(self, item, outcome, existing) -> bool:
        """Set an item's fields by what was heard; False if it has these values already."""
        changes = False
        for field, in_file in outcome.fields.items():
            name = FIELDS[field]
            chosen = outcome.chosen.get(field, ())
            old = self.values(item.get(name)) or list(in_file.old)
            new = combined(old, chosen, policy(existing, field))
            if new != self.values(item.get(name)):
                item[name] = self.as_kept(new, is_list=HAS_GENRES if field == "GENRE" else None)
                changes = True
        return changes

    def values(self, value) -> list[str]:
        """A field's values, whether beets keeps them as a list or as one text."""
        if isinstance(value, str):
            return [part for part in value.split(self.config["separator"].as_str()) if part]
        return list(value or ())

    def as_kept(self, values, *, is_list=None):
        """Values as beets keeps them in a field: in a list, or in one text."""
        if _LIST is not None if is_list is None else is_list:
            return values
        return self.config["separator"].as_str().join(values)

    # -- settings

    def wanted(self, option=None) -> list[str]:
        """The fields to fill."""
        return option.split(",") if option else self.config["fields"].as_str_seq()

    def settings(self) -> dict[str, object]:
        """What beets' configuration says of musictag's settings."""
        found = {name: self.config[name].get() for name in SETTINGS if self.config[name].exists()}
        if not config["threaded"].get(bool):
            found.setdefault("jobs", 1)
        return found

    def _media_field(self, name: str) -> mediafile.MediaField:
        """Where files hold a field: where musictag itself writes it."""
        upper = name.upper()
        mp3 = mediafile.MP3ListDescStorageStyle(desc=upper)
        # ID3v2.3 has no frame for moods, and mutagen would drop the one of ID3v2.4
        if name == "mood" and not config["id3v23"].get(bool):
            mp3 = mediafile.MP3ListStorageStyle("TMOO")
        styles = (
            mp3,
            mediafile.MP4ListStorageStyle(f"----:com.apple.iTunes:{upper}"),
            mediafile.ListStorageStyle(upper),
            mediafile.ASFStorageStyle("WM/Mood" if name == "mood" else upper),
        )
        if _LIST is not None:
            return mediafile.ListMediaField(*styles)
        return _JoinedField(*styles, separator=self.config["separator"].as_str())


class _JoinedField(mediafile.ListMediaField):
    """Several values in a file that are one text in the library."""

    def __init__(self, *styles, separator: str) -> None:
        super().__init__(*styles)
        self._separator = separator

    def __get__(self, file, owner=None):
        return self._separator.join(super().__get__(file, owner) or ()) or None

    def __set__(self, file, text) -> None:
        super().__set__(file, (text or "").split(self._separator) if text else [])


def policy(existing, field: str) -> str:
    """What becomes of a field's values: one word for all fields, or a table, also as a text."""
    if isinstance(existing, str):
        if "=" not in existing:
            return existing
        existing = dict(pair.split("=", 1) for pair in existing.split(","))
    return {name.strip().upper(): word for name, word in existing.items()}.get(field, "keep")


def combined(old: list[str], chosen, how: str) -> list[str]:
    """Old and new values by a policy. Where nothing was heard, what is there stays."""
    if not chosen or (how == "keep" and old):
        return old
    if how == "merge":
        there = {value.casefold() for value in old}
        return [*old, *(value for value in chosen if value.casefold() not in there)]
    return list(chosen)
