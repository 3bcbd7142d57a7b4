"""One file from close up, as a picture in SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from musictag.report.show import LEAST, reason, worth_showing
from musictag.report.text import clock_text, visible

if TYPE_CHECKING:
    from musictag.outcome import Taggram
    from musictag.scan.showing import Shown

WIDTH = 760
N_TAGS = 14
"""Tags in the picture of the track over time."""
_LEFT, _ROW, _BAR = 150, 20, 300
_INK, _SOFT, _LINE, _BLUE, _GREY = "#1d1b18", "#66625a", "#e2ddd3", "#2b5fb8", "#a49d90"


def likeliest(taggram: Taggram) -> list[str]:
    """The tags that are drawn over time."""
    return sorted(taggram.tags, key=lambda tag: -taggram.probabilities[tag])[:N_TAGS]


def title_of(shown: Shown) -> tuple[str, str]:
    """Title and subtitle of a picture."""
    values, taggram = shown.values, shown.taggram
    title = ", ".join(values.get("TITLE", ())) or taggram.path.name
    artist = ", ".join(values.get("ARTIST", ()))
    length = f"{clock_text(taggram.duration_s)}, heard by {taggram.model}"
    return visible(title), visible(f"{artist} · {length}" if artist else length)


def svg(shown: Shown) -> str:
    """The picture: the taggram above, bars for each field below."""
    body: list[str] = []
    title, about = title_of(shown)
    body += [_text(24, 40, title, size=20, weight=600), _text(24, 62, about, fill=_SOFT)]
    y = 88
    body += _over_time(shown.taggram, y)
    y += _ROW * min(N_TAGS, len(shown.taggram.tags)) + 54
    for field in LEAST:
        some = worth_showing(shown.verdicts, field)
        if not some:
            continue
        body.append(_text(24, y, field.title(), weight=600))
        for verdict in some:
            y += _ROW
            taken = verdict.why == "chosen"
            fill = _BLUE if taken else _GREY
            body.append(
                _text(_LEFT - 10, y, verdict.word, anchor="end", weight=600 if taken else 400)
            )
            body.append(_box(_LEFT, y - 11, _BAR, 10, _LINE))
            body.append(_box(_LEFT, y - 11, max(1.0, _BAR * verdict.probability), 10, fill))
            if verdict.threshold is not None:
                body.append(_box(_LEFT + _BAR * verdict.threshold - 1, y - 14, 2, 16, _INK))
            shade = _INK if taken else _SOFT
            share, end = f"{verdict.probability:.0%}", _LEFT + _BAR + 46
            body.append(_text(end, y, share, anchor="end", fill=shade))
            body.append(_text(end + 14, y, reason(verdict), fill=shade))
        y += _ROW + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
        f'viewBox="0 0 {WIDTH} {y}" font-family="system-ui, sans-serif" font-size="13" role="img">'
    )
    return "\n".join(
        [
            head,
            f"<title>{escape(title)}</title>",
            _box(0, 0, WIDTH, y, "#fbfaf7"),
            *body,
            "</svg>\n",
        ]
    )


def _over_time(taggram: Taggram, top: int) -> Iterator[str]:
    tags = likeliest(taggram)
    end_s = max(taggram.duration_s, taggram.segment_s)
    scale = (WIDTH - _LEFT - 24) / end_s
    for row, tag in enumerate(tags):
        y, k = top + row * _ROW, taggram.tags.index(tag)
        yield _text(_LEFT - 10, y + 14, tag, anchor="end")
        for n, (start_s, values) in enumerate(zip(taggram.starts_s, taggram.rows, strict=True)):
            nexts = taggram.starts_s[n + 1 : n + 2]
            until_s = min(end_s, nexts[0] if nexts else start_s + taggram.segment_s)
            wide = max(1.0, (until_s - start_s) * scale - 1)
            x = _LEFT + start_s * scale
            yield _box(x, y, wide, _ROW - 2, _BLUE, opacity=max(0.04, values[k]))
    y = top + len(tags) * _ROW + 14
    for part in range(5):
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        x = _LEFT + end_s * scale * part / 4
        yield _text(x, y, clock_text(end_s * part / 4), anchor=anchor, fill=_SOFT)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    fill: str = _INK,
    size: int = 13,
    weight: int = 400,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" '
        f'font-weight="{weight}">{escape(visible(text))}</text>'
    )


def _box(x: float, y: float, wide: float, high: float, fill: str, *, opacity: float = 1.0) -> str:
    shade = "" if opacity == 1 else f' fill-opacity="{opacity:.3f}"'
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" '
        f'fill="{fill}"{shade}/>'
    )
