"""A part of a comment: how it is written, and how it is found again."""

from __future__ import annotations

import pytest

from musictag.template import Template, TemplateError

HEARD = {
    "MOOD": ("Happy", "Fast"),
    "GENRE": ("Techno",),
    "VOCALS": ("Female",),
}
WORDS = ("Happy", "Fast", "Techno", "Female", "Rock", "R&B", "Hip Hop", "Sad")
DJ = Template.parsed("[{mood}; {genre}; {vocals}]")


@pytest.mark.parametrize(
    ("template", "left_out", "expected"),
    [
        ("[{mood}; {genre}; {vocals}]", (), "[Happy, Fast; Techno; Female]"),
        ("[{mood}; {genre}; {vocals}]", ("MOOD",), "[Techno; Female]"),
        ("[{mood}; {genre}; {vocals}]", ("GENRE",), "[Happy, Fast; Female]"),
        ("[{mood}; {genre}; {vocals}]", ("VOCALS",), "[Happy, Fast; Techno]"),
        ("[{mood}; {genre}; {vocals}]", ("MOOD", "GENRE", "VOCALS"), None),
        ("( {Genre} / { MOOD } )", (), "( Techno / Happy, Fast )"),
        ("/* {style} */", (), None),
    ],
)
def test_a_field_without_a_value_takes_its_separator_along(
    template: str, left_out: tuple[str, ...], expected: str | None
) -> None:
    values = {name: words for name, words in HEARD.items() if name not in left_out}
    assert Template.parsed(template).rendered(values) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("[{tempo}]", "no such field: {tempo} (there are {genre}, {style}, {mood}"),
        ("[mood]", "there is no field in it"),
        ("{genre}", "it must begin and end with a mark"),
        ("[{genre}", "it must begin and end with a mark"),
        ("[{genre}{mood}]", "something must stand between two fields"),
        ("[{genre} {mood}]", "something must stand between two fields"),
        ("[{mood; {genre}]", "a brace is missing"),
        ("[{mood}; genre}]", "a brace is missing"),
    ],
)
def test_a_template_that_could_not_be_found_again_is_refused(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as error:
        Template.parsed(template)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), ("[Sad]",)),
        (("Ripped by me",), ("Ripped by me [Sad]",)),
        (("[Happy; Techno]",), ("[Sad]",)),
        (("a [Happy, Fast; techno] b",), ("a [Sad] b",)),
        (("[remastered] a",), ("[remastered] a [Sad]",)),
        (("[Rock; live]",), ("[Rock; live] [Sad]",)),
        (("[remastered [Rock]",), ("[remastered [Sad]",)),
        (("[x] [Rock] [y]",), ("[x] [Sad] [y]",)),
        (("open [Rock",), ("open [Rock [Sad]",)),
        (("one", "two [Rock]"), ("one", "two [Sad]")),
        (("one", "two"), ("one [Sad]", "two")),
        (("line\n[Hip Hop]\nend",), ("line\n[Sad]\nend",)),
    ],
)
def test_a_part_takes_the_place_of_the_older_one(
    before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    assert DJ.placed(before, "[Sad]", WORDS) == after
    assert DJ.placed(after, "[Sad]", WORDS) == after


@pytest.mark.parametrize(
    ("template", "trouble"),
    [
        ("[{mood}; {genre}]", None),
        ("[{mood}&{genre}]", "'&' cannot be told from what is in 'R&B'"),
        ("B{mood}b", "'b' cannot be told from what is in 'R&B'"),
    ],
)
def test_a_mark_that_is_in_a_word_is_no_mark(template: str, trouble: str | None) -> None:
    assert Template.parsed(template).trouble(WORDS) == trouble
