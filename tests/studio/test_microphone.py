"""Camera and microphone in Chromium: on while they are wanted, and no longer.

The avatar's side of the viewer's websocket is played here: it only says that it is
ready.
"""

import json

import pytest
from web_page import until

# Remembers what was given, and lets a test hold back or deny permission.
_ASKED = """
window.given = [];
window.asked = 0;
window.permission = null;
if (navigator.mediaDevices) {
  const give = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    window.asked++;
    await window.permission;
    window.given.push(await give(wanted));
    return window.given.at(-1);
  };
}
"""
_HOLD = """() => { window.permission = new Promise((done, fail) => {
  window.allow = done;
  window.deny = () => fail(new Error("not allowed"));
}); }"""
_OFF = """given.length && given.every(
  (stream) => stream.getTracks().every((track) => track.readyState === 'ended'))"""


@pytest.fixture
def watched(page):
    page.add_init_script(_ASKED)
    return page


class Viewer:
    """A viewer with an avatar, and what it sent."""

    def __init__(self, page, studio):
        run = studio.root / "runs" / "me"
        for path in run / "checkpoints" / "7", run / "identities" / "me":
            path.mkdir(parents=True)
        (run / "identities" / "me" / "portrait.npz").touch()
        self.sent = []
        page.route_web_socket("**/api/live/**", self._answer)
        page.goto(f"{studio.address}/viewer.html?run=me")
        page.click("#start")
        page.get_by_role("button", name="Microphone").wait_for()

    def _answer(self, socket):
        self.socket = socket
        socket.on_message(self._keep)
        ranges = dict.fromkeys(("turn", "nod", "tilt"), [-5, 5]) | {"lip": [[-1, 1]]}
        socket.send(json.dumps({"ready": {"name": "me", "ranges": ranges}}))

    def _keep(self, message):
        if isinstance(message, str):
            self.sent.append(json.loads(message))

    def last(self, what):
        return [one[what] for one in self.sent if what in one][-1]


@pytest.fixture
def viewer(watched, studio):
    return Viewer(watched, studio)


def pressed(page):
    group = page.locator("fieldset", has_text="What moves it")
    return group.locator("[aria-pressed=true]").inner_text()


def test_a_microphone_that_is_switched_off_feeds_nothing(watched, viewer):
    watched.evaluate(
        "() => { window.fed = 0; portrait.feed = () => { window.fed++; }; }"
    )
    for name in "Microphone", "Idle", "Microphone", "Idle":
        watched.get_by_role("button", name=name).click()
        if name == "Microphone":
            fed = watched.evaluate("fed")
            until(watched, f"fed > {fed}")
    until(watched, _OFF)
    watched.wait_for_timeout(300)
    fed = watched.evaluate("fed")
    watched.wait_for_timeout(1000)
    assert watched.evaluate("fed") == fed


def test_permission_for_the_microphone_may_come_too_late(watched, viewer):
    watched.evaluate(_HOLD)
    watched.get_by_role("button", name="Microphone").click()
    until(watched, "asked")
    watched.get_by_role("button", name="Still").click()
    watched.evaluate("allow()")
    until(watched, _OFF, 20)
    watched.wait_for_timeout(300)
    assert pressed(watched) == "Still"
    assert viewer.last("sources")["head"] == "still"
    assert viewer.last("microphone") is False


def test_a_microphone_that_is_denied_leaves_the_avatar_idle_and_heard(watched, viewer):
    watched.evaluate(_HOLD)
    watched.get_by_role("button", name="Microphone").click()
    until(watched, "asked")
    watched.evaluate("deny()")
    watched.get_by_role("alert").filter(has_text="Not allowed.").wait_for()
    assert pressed(watched) == "Idle"
    assert watched.evaluate("portrait.muted") is False
    assert viewer.last("microphone") is False


def test_the_microphone_ends_with_the_connection(watched, viewer):
    watched.get_by_role("button", name="Microphone").click()
    until(watched, "given.length")
    viewer.socket.close()
    watched.get_by_text("The connection has ended.").wait_for()
    until(watched, _OFF, 20)
