"""Who may talk to the studio: hosts, origins, tokens, and names that lead nowhere."""

import pytest
import served_studio
import websockets.sync.client
from websockets.exceptions import InvalidStatus

SITE = "https://example.org"


def test_names_of_other_sites_are_refused(studio):
    assert studio.get("/api/state", host="evil.example")[0] == 400
    for host in "localhost", "127.0.0.1:9", "[::1]:80":
        assert studio.get("/api/state", host=host)[0] == 200


def test_scripts_of_other_sites_are_refused(studio):
    assert studio.post("/api/example", origin="http://evil.example")[0] == 403
    assert studio.post("/api/example", origin="null")[0] == 403
    address = studio.address.replace("http", "ws") + "/api/live/me"
    with pytest.raises(InvalidStatus) as refused:
        websockets.sync.client.connect(address, origin="http://evil.example")
    assert refused.value.response.status_code == 403
    with websockets.sync.client.connect(address, origin=studio.address) as socket:
        assert "opening" in socket.recv()
        assert "there is no avatar of me" in socket.recv()


def test_answers_carry_a_policy_that_loads_nothing_from_elsewhere(studio):
    studio.get("/")
    policy = studio.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    assert "access-control-allow-origin" not in studio.headers


@pytest.mark.parametrize(
    "path",
    [
        "/files/clip/..%2f..%2fetc%2fpasswd",
        "/files/clip/%2e%2e",
        "/files/secret/me",
        "/..%2f..%2fpyproject.toml",
        "/../../../../etc/passwd",
        "/files/log/../../x",
    ],
)
def test_no_path_leads_out_of_the_folder(studio, path):
    (studio.root.parent / "x.log").write_text("secret", "utf-8")
    status, answer = studio.get(path)
    assert status in (404, 422) and "secret" not in str(answer)


def test_an_allowed_site_may_embed_avatars(tmp_path):
    with served_studio.serving(tmp_path, origins=[SITE]) as studio:
        assert studio.get("/portrait.js", origin=SITE)[0] == 200
        assert studio.headers["access-control-allow-origin"] == SITE
        studio.get("/portrait.js", origin="https://other.example")
        assert "access-control-allow-origin" not in studio.headers


def test_a_token_opens_a_studio_that_others_reach(tmp_path):
    with served_studio.serving(tmp_path, token="secret") as studio:
        assert studio.get("/api/state", host="192.168.1.9")[0] == 401
        assert studio.get("/?token=wrong")[0] == 401
        bearer = {"authorization": "Bearer secret", "host": "192.168.1.9"}
        assert studio.get("/api/state", **bearer)[0] == 200
        assert studio.get("/?token=secret")[0] == 307
        cookie = studio.headers["set-cookie"]
        assert "httponly" in cookie.lower() and "samesite=strict" in cookie.lower()
        assert studio.headers["location"] == "/"
        assert studio.get("/viewer.html?run=me&token=secret&size=64")[0] == 307
        assert studio.headers["location"] == "/viewer.html?run=me&size=64"
        held = {"cookie": cookie.partition(";")[0]}
        assert studio.get("/api/state", **held)[0] == 200
        for odd in 'settings={"a": [1, 2]}', "last seen=now", "é=1", "x":
            among = {"cookie": f"{odd}; {held['cookie']}; {odd}"}
            assert studio.get("/api/state", **among)[0] == 200
        assert studio.post("/api/example", origin="http://evil.org", **held)[0] == 401
