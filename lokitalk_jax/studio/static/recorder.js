// Recordings: a clip with the camera, with a guide for the face and a level meter; and
// sound alone.

import { button, el } from "./page.js";

const KINDS = ["video/mp4", "video/webm;codecs=vp9,opus", "video/webm;codecs=vp8,opus", "video/webm"];
const SOUNDS = ["audio/mp4", "audio/webm;codecs=opus", "audio/webm"];
const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25 } };
const SOUND = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const release = (stream) => stream.getTracks().forEach((track) => track.stop());
const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

export async function opened(wanted) {
  if (!navigator.mediaDevices)
    throw new Error("browsers give camera and microphone to localhost and https pages only");
  return navigator.mediaDevices.getUserMedia(wanted).catch((error) => {
    throw new Error(`the browser gives no access (${error.name}); allow camera and microphone for this page`);
  });
}

// Records until `stop` is called; `file` is a promise of what was recorded.
export function recording(stream, kinds, name, options = {}) {
  const type = kinds.find((kind) => MediaRecorder.isTypeSupported(kind));
  const recorder = new MediaRecorder(stream, { mimeType: type, ...options });
  const parts = [];
  recorder.ondataavailable = ({ data }) => data.size && parts.push(data);
  const file = new Promise((done) => {
    recorder.onstop = () => done(new File(parts, `${name}.${type.includes("mp4") ? "mp4" : "webm"}`, { type }));
  });
  recorder.start(1000);
  return { stop: () => recorder.state !== "inactive" && recorder.stop(), file };
}

export async function recordSound() {
  const stream = await opened({ audio: SOUND });
  const running = recording(stream, SOUNDS, "recorded");
  running.file.then(() => release(stream));
  return running;
}

// The camera; `send` gets what was recorded, unless it is closed before.
export function cameraView(send, message) {
  const video = el("video", { muted: true, autoplay: true, playsInline: true });
  const count = el("div", { className: "count", hidden: true });
  const level = el("meter", { min: 0, max: 1, low: 0.05, high: 0.9, optimum: 0.4, ariaLabel: "Level of the microphone" });
  const clock = el("span", { className: "faint" });
  let stream = null, running = null, closed = 0;  // how often

  const start = button("Record", async () => {
    const before = closed;
    for (const number of [3, 2, 1]) {
      count.hidden = false;
      count.textContent = number;
      await wait(1);
      if (closed !== before) return;
    }
    count.hidden = true;
    running = recording(stream, KINDS, "recorded", { videoBitsPerSecond: 8e6 });
    start.hidden = true;
    stop.hidden = false;
    const began = Date.now();
    const ticking = setInterval(() => { clock.textContent = `${Math.floor((Date.now() - began) / 1000)} s`; }, 250);
    running.file.then((file) => {
      clearInterval(ticking);
      start.hidden = false;
      stop.hidden = true;
      if (closed === before) send(file);
    });
  }, { main: true, message });
  const stop = button("Stop and use it", () => running.stop(), { main: true, message });
  stop.hidden = true;
  const node = el("div", { className: "stack", hidden: true }, el("div", { className: "guide" }, video, count), level,
    el("div", { className: "row" }, start, stop, button("Close the camera", close, { message }), clock));

  async function open() {
    close();
    const before = closed, given = await opened({ video: VIDEO, audio: SOUND });
    if (closed !== before) return release(given);
    stream = given;
    video.srcObject = stream;
    node.hidden = false;
    measure(stream);
  }

  // What is being recorded, or is about to be, is given up.
  function close() {
    closed++;
    running?.stop();
    if (stream) release(stream);
    stream = null;
    node.hidden = count.hidden = true;
  }

  function measure(of) {
    const context = new AudioContext(), analyser = context.createAnalyser();
    context.createMediaStreamSource(of).connect(analyser);
    const values = new Float32Array(analyser.fftSize);
    const look = () => {
      if (stream !== of) return context.close();
      analyser.getFloatTimeDomainData(values);
      level.value = Math.min(1, 4 * Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length));
      requestAnimationFrame(look);
    };
    look();
  }
  return { node, open, close };
}
