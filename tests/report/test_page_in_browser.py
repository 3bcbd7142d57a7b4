"""The page of a collection in a browser: Chromium, and from PyPI playwright and
axe-playwright-python."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import portraits
import pytest
import sounds

from musictag.hearing import checkpoint
from musictag.library.overview import Row
from musictag.report.page import building
from musictag.report.page.packing import Packing

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]
FACTS = {"made": 1_795_000_000, "version": "1", "model": "m", "roots": ["/music"], "gone": 0}
MANY = 20_000


def page(path: Path, n: int, *more: Row) -> Path:
    vocabulary = checkpoint.find().vocabulary
    packing = Packing(vocabulary)
    for row in (*portraits.rows(n, vocabulary), *more):
        packing.add(row)
    for trouble in portraits.troubles(8):
        packing.add_trouble(trouble)
    building.write(path, packing.pieces(FACTS))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with made-up tracks, and one that there is."""
    folder = tmp_path_factory.mktemp("page")
    song = folder / "caf\udce9 %41 #1? \u202e.wav"
    sounds.write(song, "wav-float", sounds.tone(2.0, rate_hz=16_000), 16_000)
    about = {
        "TITLE": ("</script><img src=x onerror=document.title='x'>",),
        "ARTIST": ("zz unique",),
    }
    return page(folder / "page.html", 400, Row(song, 2.0, about))


@pytest.fixture
def opened(browser: Any, some: Path) -> Iterator[Any]:
    yield from shown(browser, some)


def shown(browser: Any, path: Path, **settings: Any) -> Iterator[Any]:
    """The page, which must raise no error and ask for nothing but sound from the disk."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, reduced_motion="reduce", **settings
    )
    tab = context.new_page()
    errors, requests = [], []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    yield tab
    assert errors == []
    assert [url for url in requests if not url.startswith(("file:", "blob:"))] == []
    context.close()


def count(tab: Any) -> str:
    text: str = tab.inner_text("#count")
    return text


def test_search_and_words_narrow_the_lists_down_and_can_be_cleared(opened: Any) -> None:
    assert count(opened) == "401 tracks"
    opened.keyboard.press("/")
    opened.keyboard.type("zz uniq")
    expect(opened.locator("#count")).to_have_text("1 of 401 tracks")
    assert opened.locator("#table tbody tr[data-id]").count() == 1
    opened.click("#clear")
    assert count(opened) == "401 tracks"
    opened.click("#counts section:first-child li:first-child button")
    n = opened.inner_text("#counts section:first-child li:first-child .n")
    assert count(opened) == f"{n} of 401 tracks"
    opened.click("#chips button")
    assert count(opened) == "401 tracks"


def test_a_lasso_becomes_a_playlist(opened: Any, tmp_path: Path) -> None:
    box = opened.locator("#map").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.click("#lasso")
    opened.mouse.move(*middle)
    opened.mouse.down()
    for x, y in ((300, 0), (300, -250), (0, -250), (-20, -100)):
        opened.mouse.move(middle[0] + x, middle[1] + y, steps=4)
    opened.mouse.up()
    n = int(count(opened).split()[0])
    assert 0 < n < 401
    with opened.expect_download() as download:
        opened.click("#save")
    download.value.save_as(tmp_path / "list.m3u8")
    lines = (tmp_path / "list.m3u8").read_bytes().splitlines()
    assert lines[0] == b"#EXTM3U"
    assert sum(line.startswith(b"/music/") for line in lines) == n


def test_a_name_that_is_no_text_is_played_and_saved_byte_for_byte(
    opened: Any, some: Path, tmp_path: Path
) -> None:
    opened.fill("#find", "zz unique")
    expect(opened.locator("#count")).to_have_text("1 of 401 tracks")
    assert "<img" in opened.inner_text("#table tbody th")
    opened.click("#table tbody .open")
    audio = opened.locator("audio")
    for _ in range(100):
        if audio.evaluate("player => player.currentTime > 0 && player.duration > 1.9"):
            break
        opened.wait_for_timeout(50)
    else:
        pytest.fail("nothing is played")
    assert "caf\\xe9 %41 #1? \\u202e.wav" in opened.inner_text("#track .where")
    assert opened.title() == "music – musictag"
    with opened.expect_download() as download:
        opened.click("#save")
    download.value.save_as(tmp_path / "list.m3u8")
    saved = (tmp_path / "list.m3u8").read_bytes().splitlines()
    assert saved[2] == bytes(some.parent) + b"/caf\xe9 %41 #1? \xe2\x80\xae.wav"


def test_the_keyboard_goes_everywhere(opened: Any) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    opened.focus("#map")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        opened.keyboard.press(key)
    expect(opened.locator("#live")).to_contain_text("Loud")
    opened.keyboard.press("Space")
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("Space")
    assert count(opened) == "2 of 401 tracks"
    opened.keyboard.press("Enter")
    assert opened.inner_text("#track-title") != "Track"
    opened.click("#clear")
    opened.focus("#table tbody .open >> nth=0")
    opened.keyboard.press("End")
    assert opened.evaluate("document.activeElement.dataset.row") == "400"
    opened.keyboard.press("Home")
    assert opened.evaluate("document.activeElement.dataset.row") == "0"
    opened.focus("#tab-all")
    opened.keyboard.press("ArrowLeft")
    assert opened.get_attribute("#tab-troubles", "aria-selected") == "true"


def test_headings_sort_and_say_so(opened: Any) -> None:
    heading = opened.locator("#table thead th", has_text="Length")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert opened.inner_text("#table tbody tr:first-child td:last-child") == "0:02"
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert opened.inner_text("#table tbody tr:first-child td:last-child") != "0:02"
    opened.click("#tab-doubts")
    assert opened.locator("th[aria-sort=descending]").inner_text().startswith("Confidence")


@pytest.mark.parametrize("width", [1440, 800, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Any, some: Path, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for tab in shown(browser, some, color_scheme=scheme, bypass_csp=True):
        tab.set_viewport_size({"width": width, "height": 900})
        tab.click("#table tbody .open >> nth=0")
        for name in ("all", "changes", "doubts", "troubles"):
            tab.click(f"#tab-{name}")
            assert axe.Axe().run(tab).response["violations"] == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_many_tracks_are_there_within_two_seconds(browser: Any, tmp_path: Path) -> None:
    path = page(tmp_path / "page.html", MANY)
    for tab in shown(browser, path):
        elapsed_s = []
        for _ in range(3):
            start = time.perf_counter()
            tab.reload(wait_until="commit")
            tab.wait_for_selector("html[data-ready]")
            tab.evaluate("new Promise(requestAnimationFrame)")
            elapsed_s.append(time.perf_counter() - start)
        tab.click("#closer")
        assert count(tab) == f"{MANY:,} tracks"
        assert tab.locator("#table tr").count() < 60
        assert min(elapsed_s) < 2
