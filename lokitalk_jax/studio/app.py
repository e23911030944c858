"""Routes of the studio: its pages, its REST interface and its websocket."""

import asyncio
import contextlib
import errno
import json
import pathlib
from collections.abc import Collection
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from lokitalk_jax.data import layout
from lokitalk_jax.studio import commands, jobs, uploads
from lokitalk_jax.studio.folders import Folders, checked_name
from lokitalk_jax.studio.guard import Guard
from lokitalk_jax.studio.jobs import Job, Jobs
from lokitalk_jax.studio.live_socket import Avatars

_STATIC = pathlib.Path(__file__).parent / "static"
_MOST_JSON = 64 << 10  # bytes
_EXAMPLE = "demo_00"


class Studio:
    """Answers requests about one folder.

    Attributes:
      folders: of the studio.
      jobs: its queue.
      avatars: live ones.
    """

    def __init__(self, root: pathlib.Path, sessions: int = 2):
        """Opens the folder; `sessions` avatars may talk at once."""
        self.folders = Folders(root)
        self.jobs = Jobs(self.folders.root)
        self.avatars = Avatars(self.folders, sessions)
        # What a job was checked against stays so until the job is in the queue.
        self._adding = asyncio.Lock()

    async def state(self, _: Request) -> Response:
        """GET /api/state: people, jobs, presets, and the limit of uploads in bytes."""
        people = await anyio.to_thread.run_sync(self.folders.people)
        listed = await anyio.to_thread.run_sync(self.jobs.listed)
        return JSONResponse(
            {
                "people": people,
                "jobs": listed,
                "presets": commands.offers(),
                "largest_upload": uploads.MOST_BYTES,
            }
        )

    async def add_clip(self, request: Request) -> Response:
        """POST /api/people/NAME/clip?file=me.mp4, the video as the body."""
        name = _name(request)
        self._refuse_second_clip(name)
        path = self.folders.path("clips", name)
        await uploads.keep(request, path, uploads.VIDEOS, uploads.check_video)
        async with self._adding:
            if not self.jobs.busy(name, "prepare"):
                await anyio.to_thread.run_sync(self.folders.forget_unfinished, name)
        return JSONResponse({"name": name}, 201)

    async def add_sound(self, request: Request) -> Response:
        """POST /api/sounds?file=speech.wav, the sound as the body; gives its key."""
        key = jobs.new_key()
        path = self.folders.path("sounds", key)
        await uploads.keep(request, path, uploads.SOUNDS, uploads.check_sound)
        return JSONResponse({"sound": key}, 201)

    async def add_job(self, request: Request) -> Response:
        """POST /api/people/NAME/prepare, train or speak; options as JSON."""
        name, kind = _name(request), request.path_params["kind"]
        given = await _json(request)
        async with self._adding:
            job = await self._add_job(name, kind, given)
        shown = commands.shown(job.command)
        return JSONResponse({"job": job.key, "command": shown}, 202)

    async def _add_job(self, name: str, kind: str, given: dict[str, Any]) -> Job:
        key = jobs.new_key()
        if kind == "prepare":
            command = commands.prepare(self.folders, name, given)
            self.jobs.refuse_second(name, kind)  # its folder must stay
            before = self.jobs.last(name, kind)
            if before is None or before.command != command:
                await anyio.to_thread.run_sync(self.folders.forget_unfinished, name)
        elif kind == "train":
            command = commands.train(self.folders, name, given)
            await anyio.to_thread.run_sync(self._keep_other_preset, name, command)
        elif kind == "speak":
            command = commands.speak(self.folders, name, key, given)
        else:
            raise HTTPException(404, f"there is no job {kind}")
        return self.jobs.add(name, kind, command, key)

    def _keep_other_preset(self, name: str, command: list[str]) -> None:
        """Gives a run of another preset another name, as NAME-draft."""
        before = self.jobs.last(name, "train")
        if before is None or self.jobs.busy(name, "train"):
            return
        preset = commands.preset(before.command)
        if preset != commands.preset(command) and self.folders.run(name):
            if self.jobs.busy(name, "speak"):
                text = (
                    f"the avatar of {name} is speaking, and would now be renamed to "
                    f"{name}-{preset}; stop that, or wait for its end"
                )
                raise HTTPException(409, text)
            self.folders.rename_run(name, f"{name}-{preset}")

    def _refuse_second_clip(self, name: str) -> None:
        if layout.is_identity(self.folders.path("data", name)):
            text = f"{name} is made of another clip; choose another name for this one"
            raise HTTPException(409, text)
        if self.jobs.busy(name, "prepare"):
            raise HTTPException(409, f"{name} is being prepared; stop that first")

    async def add_example(self, _: Request) -> Response:
        """POST /api/example: a head of the demo cast, prepared already."""
        job = self.jobs.add(
            _EXAMPLE, "example", ["demo", "--out=data", "--identities=1"]
        )
        return JSONResponse({"job": job.key, "name": _EXAMPLE}, 202)

    async def stop_job(self, request: Request) -> Response:
        """POST /api/jobs/KEY/stop: its results so far are kept."""
        try:
            self.jobs.stop(request.path_params["key"])
        except KeyError:
            raise HTTPException(404, "there is no such job") from None
        return JSONResponse({})

    async def findings(self, request: Request) -> Response:
        """GET /api/people/NAME/findings: the doctor's findings on the folder."""
        from lokitalk_jax.doctor import check

        folder = self.folders.path("data", _name(request))
        if not layout.is_identity(folder):
            raise HTTPException(404, "this person is not prepared")
        found = await anyio.to_thread.run_sync(check.examine, folder)
        listed = [
            one._asdict() | {"where": pathlib.Path(one.where).name} for one in found
        ]
        return JSONResponse({"findings": listed, "failed": check.failed(found)})

    async def training(self, request: Request) -> Response:
        """GET /api/people/NAME/training: curve and the newest picture's time."""
        name = _name(request)
        picture = self.folders.training_picture(name)
        return JSONResponse(
            {
                "curve": self.folders.training_curve(name),
                "picture": picture.stat().st_mtime if picture else None,
            }
        )

    async def file(self, request: Request) -> Response:
        """GET /files/KIND/NAME: one of the files that the pages show."""
        kind, name = request.path_params["kind"], _name(request)
        folders = self.folders
        found = {
            "clip": lambda: folders.found("clips", name),
            "preview": lambda: folders.path("data", name) / layout.PREVIEW,
            "training": lambda: folders.training_picture(name),
            "speech": lambda: folders.path("speech", name).with_suffix(".mp4"),
            "curves": lambda: folders.path("speech", name).with_suffix(".csv"),
            "frame": lambda: folders.path("speech", name).with_suffix(".jpg"),
            "log": lambda: folders.path("jobs", name).with_suffix(".log"),
        }
        path = found[kind]() if kind in found else None
        if path is None or not path.is_file():
            raise HTTPException(404, "there is no such file")
        return FileResponse(path, media_type="text/plain" if kind == "log" else None)

    async def live(self, socket: WebSocket) -> None:
        """WS /api/live/RUN?identity=NAME, see `live_socket`."""
        identity = socket.query_params.get("identity") or None
        await self.avatars.serve(socket, socket.path_params["run"], identity)


def build(
    root: pathlib.Path,
    token: str = "",
    origins: Collection[str] = (),
    sessions: int = 2,
) -> Starlette:
    """The studio of a folder as an ASGI app.

    Args:
      root: the folder.
      token, origins: see `guard.Guard`.
      sessions: avatars that may talk at once.
    """
    studio = Studio(root, sessions)

    @contextlib.asynccontextmanager
    async def running(_: Starlette):
        studio.jobs.start()
        yield
        await anyio.to_thread.run_sync(studio.jobs.close)

    post = ["POST"]
    return Starlette(
        routes=[
            Route("/api/state", studio.state),
            Route("/api/people/{name}/clip", studio.add_clip, methods=post),
            Route("/api/people/{name}/findings", studio.findings),
            Route("/api/people/{name}/training", studio.training),
            Route("/api/people/{name}/{kind}", studio.add_job, methods=post),
            Route("/api/sounds", studio.add_sound, methods=post),
            Route("/api/example", studio.add_example, methods=post),
            Route("/api/jobs/{key}/stop", studio.stop_job, methods=post),
            Route("/files/{kind}/{name}", studio.file),
            WebSocketRoute("/api/live/{run}", studio.live),
            Mount("/", StaticFiles(directory=_STATIC, html=True)),
        ],
        middleware=[Middleware(Guard, token=token, origins=origins)],
        exception_handlers={
            HTTPException: _refused,
            ClientDisconnect: _left,
            ValueError: _bad_value,
            OSError: _failed,
        },
        lifespan=running,
    )


def _name(request: Request) -> str:
    return checked_name(request.path_params["name"])


async def _json(request: Request) -> dict[str, Any]:
    """The object in the body of a request, {} where there is none.

    Raises:
      HTTPException: it is none, or too large.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_JSON:
            raise HTTPException(413, "the request is too large")
    given = json.loads(body) if body else {}
    if not isinstance(given, dict):
        raise HTTPException(422, "the body must be an object")
    return given


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)


async def _left(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # for logs; the tab that sent a file is closed


async def _bad_value(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


async def _failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    full = error.errno == errno.ENOSPC
    text = "the disk is full; free some space and try again" if full else str(error)
    return JSONResponse({"error": text}, 507 if full else 500)
