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


@pytest.fixture
def camera(watched, studio):
    """The first step with an open camera; `uploads` has the requests with a video."""
    watched.uploads = []
    watched.on(
        "request", lambda r: r.method == "POST" and watched.uploads.append(r.url)
    )
    watched.goto(f"{studio.address}/#anna/clip")
    watched.get_by_role("button", name="Record one").click()
    watched.locator(".guide").wait_for()
    return watched


def leave(page):
    page.get_by_role("link", name="+ New").click()


def close_camera(page):
    page.get_by_role("button", name="Close the camera").click()


@pytest.mark.parametrize("end", [leave, close_camera])
def test_a_recording_that_is_left_ends_and_is_not_sent(camera, end):
    camera.get_by_role("button", name="Record", exact=True).click()
    camera.get_by_role("button", name="Stop and use it").wait_for()
    camera.wait_for_timeout(1200)
    end(camera)
    until(camera, _OFF, 10)
    camera.wait_for_timeout(1000)
    assert not camera.uploads


def test_a_camera_that_is_closed_before_the_recording_begins_stays_so(camera):
    camera.get_by_role("button", name="Record", exact=True).click()
    camera.locator(".count", has_text="2").wait_for()
    close_camera(camera)
    camera.wait_for_timeout(3000)
    alert = camera.locator("#panel [role=alert]")
    assert until(camera, _OFF, 10) and not alert.inner_text()
    camera.get_by_role("button", name="Record one").click()
    camera.locator(".guide").wait_for()
    assert camera.locator(".count").is_hidden()


def test_permission_for_the_camera_may_come_too_late(watched, studio):
    watched.goto(f"{studio.address}/#anna/clip")
    watched.evaluate(_HOLD)
    watched.get_by_role("button", name="Record one").click()
    until(watched, "asked")
    leave(watched)
    watched.get_by_role("heading", name="Make a talking portrait").wait_for()
    watched.evaluate("allow()")
    until(watched, _OFF, 10)


def test_a_recorded_sound_ends_with_its_step(watched, studio):
    (studio.root / "runs" / "me" / "checkpoints" / "7").mkdir(parents=True)
    sent = []
    watched.on("request", lambda r: r.method == "POST" and sent.append(r.url))
    watched.goto(f"{studio.address}/#me/speak")
    watched.get_by_role("button", name="Record").click()
    watched.get_by_role("button", name="Stop and use it").wait_for()
    leave(watched)
    until(watched, _OFF, 10)
    watched.goto(f"{studio.address}/#me/speak")
    watched.evaluate(_HOLD)
    watched.get_by_role("button", name="Record").click()
    until(watched, "asked === 2")
    leave(watched)
    watched.get_by_role("heading", name="Make a talking portrait").wait_for()
    watched.evaluate("allow()")
    until(watched, f"given.length === 2 && {_OFF}", 10)
    watched.wait_for_timeout(500)
    assert not sent
