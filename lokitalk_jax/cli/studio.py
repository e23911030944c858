"""Serves the studio: avatars made and shown in a browser."""

import argparse
import pathlib
import secrets
import webbrowser
from collections.abc import Sequence

from lokitalk_jax import folder_lock
from lokitalk_jax.cli import terminal

_DESCRIPTION = """\
Serves a page in which a video becomes an avatar that speaks.

{program}
{program} --root=people --port=9000
{program} --host=0.0.0.0        # for other machines too; prints an address with a token

The folder holds data/NAME and runs/NAME, as those of the other commands.
"""


def main(
    arguments: Sequence[str] | None = None, program: str = "lokitalk studio"
) -> int:
    """Reads the flags and serves; returns the exit status."""
    return terminal.run_task(_serve, _parser(program), arguments, program)


def _parser(program: str) -> terminal.Parser:
    parser = terminal.Parser(program, _DESCRIPTION.format(program=program))
    add = parser.add_argument
    add(
        "--root",
        type=pathlib.Path,
        default=pathlib.Path("."),
        help="folder (default .)",
    )
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    add(
        "--port", type=int, default=8321, help="port (default 8321); 0 takes a free one"
    )
    add(
        "--origin",
        action="append",
        default=[],
        help="a site whose pages may embed avatars, as https://example.org",
    )
    add("--sessions", type=int, default=2, help="avatars that may talk at once")
    add("--no-browser", action="store_true", help="do not open the page")
    return parser


def _serve(flags: argparse.Namespace) -> None:
    try:
        import uvicorn

        from lokitalk_jax.studio import app, guard
    except ImportError as error:
        raise ValueError(
            f'the studio needs {error.name}; run pip install "lokitalk-jax[studio]"'
        ) from error
    if not 0 <= flags.port < 65536 or flags.sessions < 1:
        raise ValueError(
            f"port={flags.port} sessions={flags.sessions} cannot be used; ports are "
            "from 0 to 65535, and there is at least one session"
        )
    token = "" if flags.host in guard.LOCAL else secrets.token_urlsafe(16)
    # A second server would take the jobs of the first for left behind, and end them.
    with folder_lock.hold(flags.root.resolve(), "jobs"):
        studio = app.build(flags.root, token, flags.origin, flags.sessions)
        config = uvicorn.Config(
            studio,
            host=flags.host,
            port=flags.port,
            log_level="warning",
            ws_max_size=1 << 20,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=3,
        )
        with config.bind_socket() as bound:
            host, port = bound.getsockname()[:2]
            shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
            shown = f"[{shown}]" if ":" in shown else shown
            address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
            print(f"The studio of {flags.root.resolve()} is at {address}", flush=True)
            if not flags.no_browser:
                webbrowser.open(address)
            uvicorn.Server(config).run(sockets=[bound])
