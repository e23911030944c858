"""A portrait in a page of another site, as `examples/embed.html` has it."""

import contextlib
import functools
import http.server
import pathlib
import threading

import pytest
import served_studio

_PAGE = pathlib.Path(__file__).parents[2] / "examples" / "embed.html"
_STUDIO = "http://127.0.0.1:8321"  # of the page


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """Address and folder of a site."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


@pytest.fixture
def embedded(browser, site, tmp_path):
    """A page of the site, whose studio runs."""
    address, folder = site
    with (
        served_studio.serving(tmp_path / "studio", origins=[address]) as studio,
        contextlib.closing(browser.new_page()) as page,
    ):
        text = _PAGE.read_text("utf-8").replace(_STUDIO, studio.address)
        (folder / "embed.html").write_text(text, "utf-8")
        yield page


def test_a_page_of_another_site_starts_when_it_can(embedded, site):
    held = []
    embedded.route("**/portrait.js", lambda route: held.append(route))
    embedded.goto(f"{site[0]}/embed.html?run=me", wait_until="commit")
    while not held:
        embedded.wait_for_timeout(50)
    assert embedded.locator("#start").is_disabled()
    held[0].continue_()
    embedded.click("#start")
    embedded.get_by_text("there is no avatar of me yet").wait_for()


def test_a_page_of_another_site_needs_a_run(embedded, site):
    embedded.goto(f"{site[0]}/embed.html")
    embedded.get_by_text("The address names no run; add ?run=me").wait_for()
    assert embedded.locator("#start").is_disabled()


def test_a_page_that_is_opened_as_a_file_is_to_be_served(browser):
    with contextlib.closing(browser.new_page()) as page:
        page.goto(f"{_PAGE.as_uri()}?run=me")
        page.get_by_text("serve its folder").wait_for()
        assert page.locator("#start").is_disabled()


def test_a_page_of_another_site_misses_its_studio(browser, site):
    address, folder = site
    # Nothing answers at port 1.
    text = _PAGE.read_text("utf-8").replace(_STUDIO, "http://127.0.0.1:1")
    (folder / "embed.html").write_text(text, "utf-8")
    with contextlib.closing(browser.new_page()) as page:
        page.goto(f"{address}/embed.html?run=me")
        page.get_by_text(f"lokitalk studio --origin={address}").wait_for()
        assert page.locator("#start").is_disabled()
