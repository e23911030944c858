"""Access to the studio: checks of host, origin and token before any route.

A studio that is bound to this machine has no password, so pages of other sites must not
reach it through the browser: neither by a name of theirs that leads here (the Host is
checked), nor by requests and websockets of their scripts (the Origin is checked). A
studio that other machines can reach needs a token.
"""

import hmac
import urllib.parse
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "::1")
_COOKIE = "lokitalk_token"
_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Guard:
    """Lets requests of this page, of programs and of allowed origins pass."""

    def __init__(self, app: ASGIApp, token: str = "", origins: Collection[str] = ()):
        """Wraps an app.

        Args:
          app: answers allowed requests.
          token: that every request needs; "" for a studio that only this machine
            reaches, which then answers to its own names alone.
          origins: of other sites whose pages may embed avatars, such as
            "https://example.org".
        """
        self._app, self._token, self._origins = app, token, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers or refuses."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        refusal = self._refusal(scope, headers, origin)
        if refusal is not None:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": 4403})
            return await refusal(scope, receive, send)

        added = dict(_HEADERS)
        if origin in self._origins:
            added["access-control-allow-origin"] = origin
            added["vary"] = "Origin"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in added.items()
                        if name.encode() not in own
                    ),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers, origin: str) -> Response | None:
        host = headers.get("host", "")
        if not self._token and _name(f"//{host}") not in LOCAL:
            text = f"this studio answers to {', '.join(LOCAL)}, not to {host!r}"
            return PlainTextResponse(text, 400)
        if not self._token and origin not in self._origins:
            foreign = origin and urllib.parse.urlsplit(origin).netloc != host
            if foreign and (
                scope["type"] == "websocket" or scope["method"] not in _SAFE
            ):
                return PlainTextResponse(f"origin {origin!r} is not allowed", 403)
        if self._token:
            return self._without_token(scope, headers, origin, host)
        return None

    def _without_token(
        self, scope: Scope, headers: Headers, origin: str, host: str
    ) -> Response | None:
        query = urllib.parse.parse_qsl(scope["query_string"].decode("latin-1"))
        asked = next((value for name, value in query if name == "token"), "")
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._is_token(asked) or self._is_token(bearer):
            page = scope["type"] == "http" and scope["method"] == "GET"
            if asked and page and not scope["path"].startswith(("/api", "/files")):
                # The token leaves the address, which ends up in histories.
                rest = urllib.parse.urlencode([x for x in query if x[0] != "token"])
                answer = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""))
                answer.set_cookie(_COOKIE, asked, httponly=True, samesite="strict")
                return answer
            return None
        # Python's own reader stops at odd cookies, as other programs of the host set.
        held = cookie_parser(headers.get("cookie", "")).get(_COOKIE, "")
        same = not origin or urllib.parse.urlsplit(origin).netloc == host
        if self._is_token(held) and (same or origin in self._origins):
            return None
        text = "open the address with the token that the studio printed at its start"
        return PlainTextResponse(text, 401)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())


def _name(address: str) -> str:
    """The host of an address, without its port."""
    try:
        return urllib.parse.urlsplit(address).hostname or ""
    except ValueError:
        return ""
