"""The attributes of ASF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mutagen.asf
from containers import PICTURE, track
from tagging import FULL

from musictag import metadata
from musictag.audio.digest import payload_digest


def test_what_listeners_would_miss_survives_in_asf(tmp_path: Path) -> None:
    path = track(tmp_path, "wma")
    file = mutagen.asf.ASF(path)
    kept: dict[str, Any] = {
        "Title": ["Title"],
        "WM/Picture": [PICTURE, PICTURE[:50]],
        "WM/Lyrics": ["la la"],
        "WM/SharedUserRating": [75],
        "WM/ArtistSortOrder": ["Name, Sort"],
        "MusicBrainz/Track Id": ["f2c2"],
        "replaygain_track_gain": ["-7.30 dB"],
    }
    for key, values in kept.items():
        file[key] = values
    file.save()
    metadata.write(path, FULL, payload_digest=payload_digest)
    after = mutagen.asf.ASF(path)
    assert {key: [value.value for value in after[key]] for key in kept} == kept
