"""Chromium, and what its pages do."""

import contextlib
import shutil
import time

import pytest


@contextlib.contextmanager
def chromium(microphone):
    """A browser whose microphone hears a file, again and again."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("there is no chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    from benchmarks import studio_page

    heard = f"--use-file-for-fake-audio-capture={microphone}"
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path, args=[*studio_page.CHROMIUM_FLAGS, heard]
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, address):
    """A page; errors and requests to other addresses fail the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    wrong = []
    page.on("console", lambda m: _is_error(m) and wrong.append(m.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: _foreign(r.url, address) and wrong.append(r.url))
    yield page
    page.close()
    assert not wrong


def _is_error(message):
    # Chromium logs refusals too, which pages show in words.
    return message.type == "error" and "status of 422" not in message.text


def _foreign(url, address):
    return not url.startswith((address, "blob:", "data:"))


def until(page, script, seconds=90):
    """Waits for a true value; a policy without eval forbids Playwright's own way."""
    end = time.monotonic() + seconds
    while not (value := page.evaluate(script)):
        assert time.monotonic() < end, (script, page.inner_text("body"))
        page.wait_for_timeout(50)
    return value
