"""Does the studio's page keep pace with speech, and its sound with its pictures?

    python -m benchmarks.studio_page --workdir=runs/me --sizes=64,128,192,256

Starts a studio on a folder of its own and a headless Chromium whose microphone hears a
tone of half a second in every second. For each size the avatar follows the microphone,
and then plays its own clip. Prints a JSON line for each:

  pictures_per_second: drawn by the page; 25 keep pace.
  offset_ms, offset_ms_95, within_45_ms: of pictures from the sound that is heard with
    them; median, 95th percentile of its size, and share between -45 and 45 ms.
  microphone_ms, microphone_ms_high: from the first sample of a tone at the page until
    the first picture of a frame that has it is drawn; median and largest.
  arrived_ms: until that frame arrives at the page; the rest of the time it is decoded
    and waits for its sound.
  server_ms: from the arrival of a frame's sound at the server until the frame is
    drawn, its look-ahead included; of these, predicting_ms and drawing_ms are work.
  server_cores, other_cores: CPU time per second of the server, and of everything else
    on the machine, the browser above all, which draws without a GPU.
  resident_mb: memory of the server, at first and after each minute.
"""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import scipy.io.wavfile
from playwright.sync_api import Page, sync_playwright

from benchmarks.live_speed import resident, slope
from lokitalk_jax import structs

# Keeps the time at which samples are sent, frames arrive and pictures are drawn.
_WATCH = """
window.log = { sent: [], got: [], drawn: [], reports: [] };
(() => {
  const Real = window.WebSocket;
  let last = -1;
  const loud = (samples) => samples.findIndex((x) => Math.abs(x) > 1000);
  window.WebSocket = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        if (typeof data === "string") {
          const { report } = JSON.parse(data);
          if (report) log.reports.push(report);
          return;
        }
        const head = new DataView(data), number = head.getUint32(0, true);
        log.got.push([performance.now(), number, loud(new Int16Array(data, 8, 640))]);
        if (head.getUint32(4, true) & 0x7fffffff) last = number;
      });
    }
    send(data) {
      if (typeof data !== "string")
        log.sent.push([performance.now(), data.length, loud(data)]);
      super.send(data);
    }
  };
  const decode = window.createImageBitmap;
  window.createImageBitmap = (...given) => {
    const number = last;
    return decode(...given).then((image) => Object.assign(image, { number }));
  };
  const paper = CanvasRenderingContext2D.prototype, draw = paper.drawImage;
  paper.drawImage = function (image, ...given) {
    if (image.number !== undefined) log.drawn.push([performance.now(), image.number]);
    return draw.call(this, image, ...given);
  };
})();
"""
_PORT = 8397
# Of a headless Chromium without a screen, a GPU or devices.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-gpu",
)
_QUIET = 8  # blocks or frames of silence before a tone begins


@contextlib.contextmanager
def serving(root: pathlib.Path) -> Iterator[tuple[str, int]]:
    """A studio of the folder `root`: its address and process number."""
    command = [sys.executable, "-m", "lokitalk_jax", "studio", f"--root={root}"]
    server = subprocess.Popen([*command, f"--port={_PORT}", "--no-browser"])
    address = f"http://127.0.0.1:{_PORT}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/state").close()
                break
            except urllib.error.URLError:
                if server.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"no studio at {address}") from None
                time.sleep(0.2)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait()


def cpu_s(process: int) -> float:
    """CPU time of a process so far, s; Linux only."""
    stat = pathlib.Path(f"/proc/{process}/stat").read_text()
    return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / 100


def busy_s() -> float:
    """CPU time of the whole machine so far, s; Linux only."""
    first = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, _, _, *interrupts = map(int, first.split()[1:8])
    return (user + nice + system + sum(interrupts)) / 100


def microphone_ms(log: dict) -> list[tuple[float, float]]:
    """From the beginning of each tone at the page to the first frame that has it.

    Args:
      log: `sent` [time ms, samples, first loud one or -1], `got` [time ms, number of
        the frame, first loud sample or -1] and `drawn` [time ms, number of the frame].

    Returns:
      of each tone, ms until that frame arrives and until a picture of it is drawn.
    """

    def begins(rows: list, at: int) -> bool:
        before = rows[max(0, at - _QUIET) : at]
        return at >= _QUIET and rows[at][2] >= 0 and all(row[2] < 0 for row in before)

    sent, got, drawn = log["sent"], log["got"], log["drawn"]
    per_ms = structs.AUDIO_RATE / 1000
    spoken = [
        row[0] - (row[1] - row[2]) / per_ms
        for at, row in enumerate(sent)
        if begins(sent, at)
    ]
    heard = [row for at, row in enumerate(got) if begins(got, at)]
    found = []
    for began in spoken:
        arrived = next((row for row in heard if row[0] > began), None)
        if arrived is None:
            continue
        shown = next((when for when, which in drawn if which >= arrived[1]), None)
        if shown is not None:
            found.append((arrived[0] - began, shown - began))
    return found


def measured(page: Page, source: str, seconds: float, server: int) -> dict[str, object]:
    """Figures of one source of motion, after it was chosen in the viewer."""
    page.get_by_role("button", name=source, exact=True).click()
    page.wait_for_timeout(4000)
    page.evaluate("for (const key in log) log[key].length = 0")
    drawn = page.evaluate("portrait.playing.drawn")
    spent, busy, began = cpu_s(server), busy_s(), time.monotonic()
    memory = [resident(server)]
    while (left := seconds + began - time.monotonic()) > 0:
        page.wait_for_timeout(1000 * min(left, 60))
        memory.append(resident(server))
    took = time.monotonic() - began
    spent, busy = cpu_s(server) - spent, busy_s() - busy
    playing = page.evaluate("portrait.playing")
    count = playing["drawn"] - drawn
    offsets = 1000 * np.array(playing["offsets"][-count:])
    facts = {
        "pictures_per_second": round(count / took, 1),
        "offset_ms": round(float(np.median(offsets)), 1),
        "offset_ms_95": round(float(np.percentile(np.abs(offsets), 95)), 1),
        "within_45_ms": round(float(np.mean(np.abs(offsets) <= 45)), 3),
        "held_ms": round(1000 * playing["held"]),
        "server_cores": round(spent / took, 2),
        "other_cores": round((busy - spent) / took, 2),
        "resident_mb": [round(value, 1) for value in memory],
    }
    if seconds >= 240:
        facts["slope_mb_a_minute"] = slope(memory)
    log = page.evaluate("log")
    for name in "latency", "predicting", "drawing":
        key = "server" if name == "latency" else name
        seconds = np.median([report[name] for report in log["reports"]])
        facts[f"{key}_ms"] = round(1000 * float(seconds))
    if delays := microphone_ms(log):
        arrived, drawn = np.array(delays).T
        facts |= {
            "arrived_ms": round(float(np.median(arrived))),
            "microphone_ms": round(float(np.median(drawn))),
            "microphone_ms_high": round(float(max(drawn))),
            "tones": len(delays),
        }
    return facts


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", default="64,128,192,256", help="Pixels.")
    parser.add_argument("--seconds", type=float, default=15, help="Of each source.")
    parser.add_argument("--sources", default="Microphone,Its clip")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "runs").mkdir()
        (root / "runs" / "me").symlink_to(arguments.workdir.resolve())
        at = np.arange(4 * structs.AUDIO_RATE) / structs.AUDIO_RATE
        tone = np.sin(2 * np.pi * 140 * at) * (at % 1 > 0.5)
        scipy.io.wavfile.write(
            root / "tone.wav", structs.AUDIO_RATE, np.int16(20_000 * tone)
        )
        microphone = f"--use-file-for-fake-audio-capture={root / 'tone.wav'}"
        with serving(root) as (address, server), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=arguments.chromium, args=[*CHROMIUM_FLAGS, microphone]
            )
            for size in arguments.sizes.split(","):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.add_init_script(_WATCH)
                page.goto(f"{address}/viewer.html?run=me&size={size}")
                page.click("#start")
                page.locator("fieldset").nth(4).wait_for(timeout=300_000)
                page.wait_for_timeout(3000)
                for source in arguments.sources.split(","):
                    found = measured(page, source, arguments.seconds, server)
                    facts = {"size": int(size), "source": source} | found
                    print(json.dumps(facts), flush=True)
                page.close()
            browser.close()


if __name__ == "__main__":
    main()
