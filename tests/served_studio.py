"""A studio on a free port, in this process; its commands may be others."""

import contextlib
import http.client
import json
import pathlib
import threading
import time


class Served:
    """A running studio, and requests to it."""

    def __init__(self, root: pathlib.Path, port: int):
        self.root, self.port = root, port
        self.address = f"http://127.0.0.1:{port}"

    def request(self, method, path, body=None, **headers):
        """Status and parsed body of a request; headers as `host="x"`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            given = body if isinstance(body, bytes | None) else json.dumps(body)
            connection.request(method, path, given, headers)
            answer = connection.getresponse()
            text = answer.read()
            self.headers = dict(answer.getheaders())
            with contextlib.suppress(ValueError):
                return answer.status, json.loads(text)
            return answer.status, text

    def get(self, path, **headers):
        return self.request("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.request("POST", path, body, **headers)

    def job(self, key):
        jobs = self.get("/api/state")[1]["jobs"]
        return next(job for job in jobs if job["key"] == key)

    def wait(self, key, *states, seconds=60.0):
        """The job when it is in one of some states."""
        end = time.monotonic() + seconds
        while (job := self.job(key))["state"] not in states:
            assert time.monotonic() < end, job
            time.sleep(0.05)
        return job


@contextlib.contextmanager
def serving(root, port=0, **options):
    """Runs a studio until the block ends."""
    import uvicorn

    from lokitalk_jax.studio import app

    config = uvicorn.Config(
        app.build(root, **options),
        port=port,
        log_level="warning",
        ws_max_size=1 << 20,
        timeout_graceful_shutdown=1,
    )
    with config.bind_socket() as bound:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Served(root, bound.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
