// The viewer: an avatar that moves, with everything about it within reach.

import { button, command, el, get, sentence, upload } from "./page.js";
import { Portrait } from "./portrait.js";
import { recording } from "./recorder.js";

const at = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const REGIONS = ["lip", "eye", "head", "torso"];
const NAMES = { lip: "Lips", eye: "Eyes", head: "Head", torso: "Torso" };
const LIPS = 4;

const state = { gain: {}, muted: new Set(), solo: "", controls: {}, source: "idle", background: "plate", map: "" };
const resets = [];
let portrait = null, run = query.get("run") ?? "", identity = query.get("identity") ?? "", seen = null, free = false;

// Settings that have changed since the last animation frame, as one message.
let pending = {};
function send(settings) {
  if (!Object.keys(pending).length) requestAnimationFrame(() => { portrait?.set(pending); pending = {}; });
  Object.assign(pending, settings);
}

function gains() {
  return Object.fromEntries(REGIONS.map((region) => {
    const silent = state.solo ? state.solo !== region : state.muted.has(region);
    return [region, silent ? 0 : state.gain[region] ?? 1];
  }));
}

function control(values) {
  Object.assign(state.controls, values);
  send({ controls: state.controls });
  showCommand();
}

// A labelled slider; `change` gets its value.
function slider(label, { low, high, value, step = "any", unit = "", dot = "" }, change) {
  const input = el("input", { type: "range", min: low, max: high, step, value });
  const output = el("output", {}, "");
  const show = () => { output.textContent = `${(Math.round(100 * input.value) / 100 || 0).toFixed(unit ? 1 : 2)}${unit}`; };
  input.oninput = () => { show(); change(Number(input.value)); };
  show();
  resets.push(() => { input.value = value; show(); });
  const name = el("span", {}, label);
  if (dot) name.prepend(el("i", { className: "dot", style: `background: var(--${dot})` }));
  return el("label", { className: "slider" }, name, input, output);
}

const group = (title, ...children) => el("fieldset", {}, el("legend", {}, title), ...children);

// Buttons of which one is pressed.
function choice(options, chosen, change) {
  const buttons = Object.entries(options).map(([key, text]) => {
    const one = el("button", { type: "button", className: "small", ariaPressed: String(key === chosen) }, text);
    one.dataset.key = key;
    one.onclick = () => { press(key); change(key); };
    return one;
  });
  const press = (key) => buttons.forEach((one) => { one.ariaPressed = String(one.dataset.key === key); });
  return Object.assign(el("div", { className: "row" }, ...buttons), { press });
}

function showGroup() {
  const split = slider("Split", { low: 0, high: 1, value: 0.5 }, (value) => { portrait.split = value; });
  split.hidden = true;
  const maps = choice({ "": "Picture", depth: "Depth", regions: "Regions", offset: "Motion" }, "", (map) => {
    split.hidden = !map;
    send({ map });
  });
  const backs = choice({ plate: "Its own", "#30343a": "Dark", "#e6e6e6": "Light", "#00b140": "Green" }, "plate", (background) => {
    state.background = background;
    send({ background });
    showCommand();
  });
  return group("Show", maps, split, el("span", { className: "faint" }, "Background"), backs);
}

function regionGroup() {
  const toggles = [];
  const refresh = () => { toggles.forEach((show) => show()); send({ gain: gains() }); showCommand(); };
  const rows = REGIONS.map((region) => {
    const row = slider(NAMES[region], { low: 0, high: 2, value: 1, dot: region }, (value) => { state.gain[region] = value; refresh(); });
    const mute = el("button", { type: "button", className: "small", ariaLabel: `Mute ${region}` }, "Mute");
    const solo = el("button", { type: "button", className: "small", ariaLabel: `Only ${region}` }, "Only");
    mute.onclick = () => { if (!state.muted.delete(region)) state.muted.add(region); refresh(); };
    solo.onclick = () => { state.solo = state.solo === region ? "" : region; refresh(); };
    toggles.push(() => { mute.ariaPressed = String(state.muted.has(region)); solo.ariaPressed = String(state.solo === region); });
    row.classList.add("region");
    row.append(mute, solo);
    return row;
  });
  resets.push(() => { state.gain = {}; state.muted.clear(); state.solo = ""; refresh(); });
  toggles.forEach((show) => show());
  return group("How much each region moves", ...rows);
}

function driveGroup({ ranges }) {
  const wide = ([low, high]) => ({ low: 1.5 * Math.min(low, -1), high: 1.5 * Math.max(high, 1), value: 0 });
  const lips = ranges.lip.slice(0, LIPS).map(([low, high], index) => slider(`Lips ${index + 1}`, { low, high, value: 0 }, (value) => {
    const lip = state.controls.lip ?? Array(Math.min(LIPS, ranges.lip.length)).fill(0);
    lip[index] = value;
    control({ lip });
  }));
  return group("Pose and face",
    slider("Turn", { ...wide(ranges.turn), unit: "°" }, (turn) => control({ turn })),
    slider("Nod", { ...wide(ranges.nod), unit: "°" }, (nod) => control({ nod })),
    slider("Tilt", { ...wide(ranges.tilt), unit: "°" }, (tilt) => control({ tilt })),
    slider("Eyes open", { low: 0, high: 1.2, value: 1 }, (eye) => control({ eye })), ...lips);
}

function sourceGroup() {
  const message = el("p", { className: "error", role: "alert" });
  const file = el("input", { type: "file", accept: "audio/*,video/*", hidden: true });
  const aloud = el("input", { type: "checkbox" });
  const SOURCES = { idle: {}, still: { lip: "still", eye: "open", head: "still" }, file: {}, microphone: {} };
  const words = { idle: "Idle", still: "Still", clip: "Its clip", file: "A sound", microphone: "Microphone" };
  const stop = button("Be quiet", () => portrait.interrupt(), { small: true });
  const choose = choice(words, "idle", async (source) => {
    message.textContent = "";
    state.source = source;
    try {
      await portrait.microphone(source === "microphone", aloud.checked);
      if (state.source !== source) return;  // another was chosen meanwhile
      portrait.interrupt();
      if (source === "clip") portrait.play({ own: true });
      else send({ sources: SOURCES[source] });
      if (source === "file") file.click();
    } catch (error) {
      if (state.source !== source) return;
      message.textContent = sentence(error.message);
      state.source = "idle";
      choose.press("idle");
      portrait.microphone(false);
      send({ sources: SOURCES.idle });
    }
    showCommand();
  });
  file.onchange = async () => {
    try {
      const { sound } = await upload("/api/sounds", file.files[0]);
      portrait.play({ sound });
    } catch (error) { message.textContent = sentence(error.message); }
    file.value = "";
  };
  aloud.onchange = () => { portrait.muted = state.source === "microphone" && !aloud.checked; };
  return group("What moves it", choose, el("div", { className: "row" }, stop, el("label", { className: "row faint" }, aloud, "hear the microphone (headphones)")), file, message);
}

function cameraGroup({ ranges }) {
  seen = { yaw: ranges.turn, pitch: ranges.nod };
  const gizmo = el("div", { className: "gizmo", title: "The range of angles that training saw, and the camera" });
  const range = el("i"), dot = el("b");
  gizmo.append(range, dot);
  const place = (value) => `${50 + (50 * value) / 45}%`;
  Object.assign(range.style, { left: place(-seen.yaw[1]), right: `${50 + (50 * seen.yaw[0]) / 45}%`, top: place(-seen.pitch[1]), bottom: `${50 + (50 * seen.pitch[0]) / 45}%` });
  const words = el("span", { className: "faint" });
  const show = () => {
    const { yaw = 0, pitch = 0 } = state.controls;
    dot.style.left = place(yaw);
    dot.style.top = place(-pitch);
    const outside = yaw < -seen.yaw[1] || yaw > -seen.yaw[0] || pitch < -seen.pitch[1] || pitch > -seen.pitch[0];
    words.textContent = outside ? "not seen by the camera of the clip" : "seen in training";
  };
  orbit.show = show;
  const limit = el("input", { type: "checkbox" });
  limit.onchange = () => { free = limit.checked; };
  resets.push(() => orbit(0, 0, true));
  show();
  return group("Camera", el("div", { className: "row" }, gizmo, el("div", { className: "stack" }, words,
    el("label", { className: "row faint" }, limit, "turn freely"))),
    slider("Distance", { low: 0.6, high: 1.6, value: 1 }, (distance) => control({ distance })));
}

// Turns the camera, by default within half as much again as training saw.
function orbit(yaw, pitch, absolute = false) {
  const from = absolute ? { yaw: 0, pitch: 0 } : { yaw: 0, pitch: 0, ...state.controls };
  const most = ([low, high]) => (free ? 45 : 1.5 * Math.max(-low, high, 4));
  const within = (value, limit) => Math.max(-limit, Math.min(limit, value));
  control({ yaw: within(from.yaw + yaw, most(seen.yaw)), pitch: within(from.pitch + pitch, most(seen.pitch)) });
  orbit.show();
}

function listenToPointer(canvas) {
  let last = null;
  canvas.onpointerdown = (event) => { last = event; canvas.setPointerCapture(event.pointerId); };
  canvas.onpointerup = () => { last = null; };
  canvas.onpointermove = (event) => {
    if (!last || !seen) return;
    orbit((event.clientX - last.clientX) / 6, (last.clientY - event.clientY) / 6);
    last = event;
  };
  canvas.ondblclick = () => seen && orbit(0, 0, true);
  canvas.onkeydown = (event) => {
    const turn = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!turn || !seen) return;
    event.preventDefault();  // the page stays where it is
    orbit(...turn);
  };
}

function tools() {
  const save = (blob, name) => {
    const link = el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  let running = null;
  const record = button("Record", async () => {
    if (running) return running.stop();
    running = recording(portrait.stream(), ["video/webm;codecs=vp9,opus", "video/webm"], run);
    record.textContent = "Stop recording";
    running.file.then((file) => { running = null; record.textContent = "Record"; save(file, file.name); });
  });
  at("tools").replaceChildren(
    button("Snapshot", () => at("face").toBlob((blob) => save(blob, `${run}.png`))), record,
    button("Reset", () => { state.controls = {}; resets.forEach((reset) => reset());
      control({ lip: [], eye: 1, turn: 0, nod: 0, tilt: 0, yaw: 0, pitch: 0, distance: 1 }); }),
    el("div", { id: "command" }));
  showCommand();
}

function showCommand() {
  if (!at("command")) return;
  const open = at("command").firstChild?.open;
  const moved = Object.entries(gains()).filter(([region, value]) => value !== 1 && region !== "torso").map(([region, value]) => `${region}:${value}`);
  const words = ["lokitalk", "speak", `--workdir=runs/${run}`, identity && `--identity=${identity}`, "--audio=speech.wav",
    moved.length && `--gain=${moved}`, state.source === "still" && "--head=still --eye=open",
    state.background !== "plate" && `--background='${state.background}'`, `--out=${run}.mp4`];
  at("command").replaceChildren(command(words.filter(Boolean).join(" ")));
  at("command").firstChild.open = Boolean(open);
}

function report({ latency, drawing, drawn, size, waiting }) {
  const { held } = portrait.playing;
  at("status").replaceChildren(...[`${size} pixels`, `${(1000 * drawing).toFixed(0)} ms a picture`, `${(25 * drawn).toFixed(0)} pictures/s`,
    `${(1000 * latency).toFixed(0)} ms behind the sound, ${(1000 * held).toFixed(0)} ms held back`, waiting > 1 ? `${waiting.toFixed(0)} s to say` : ""]
    .map((text) => el("span", {}, text)));
}

function cover(text, start = false) {
  at("cover").hidden = !text && !start;
  at("start").hidden = !start;
  at("wait").textContent = text;
}

function open() {
  portrait ??= new Portrait(at("face"), { run, identity, size: query.get("size") ?? "" });
  window.portrait = portrait;
  cover("Getting ready. The first time takes up to a minute …");
  portrait.start();
}

function listen() {
  portrait.addEventListener("ready", ({ detail }) => {
    identity = detail.name;
    cover("");
    at("error").textContent = "";
    resets.length = 0;
    at("panel").replaceChildren(sourceGroup(), showGroup(), regionGroup(), driveGroup(detail), cameraGroup(detail));
    tools();
    send({ gain: gains(), controls: state.controls });
  });
  portrait.addEventListener("report", ({ detail }) => report(detail));
  portrait.addEventListener("error", ({ detail }) => { at("error").textContent = sentence(detail); });
  portrait.addEventListener("end", () => cover(at("error").textContent || "The connection has ended.", true));
}

async function begin() {
  const { people } = await get("/api/state");
  const avatars = people.filter((one) => one.run).flatMap((one) => one.run.identities.map((name) => [one.name, name]));
  if (!run && avatars.length) [run, identity] = avatars[0];
  identity ||= avatars.find(([of]) => of === run)?.[1] ?? "";
  at("avatars").replaceChildren(...avatars.map(([of, name]) => el("a", {
    href: `?run=${of}&identity=${name}`, ...(of === run && name === identity ? { "aria-current": "page" } : {}),
  }, of === name ? name : `${of}: ${name}`)));
  if (!avatars.length) return cover("There is no avatar yet. Make one in the studio.");
  cover("", true);
  at("start").textContent = `Start ${identity || run}`;
  at("start").onclick = () => { const first = !portrait; open(); if (first) listen(); };
  listenToPointer(at("face"));
}

begin().catch((error) => { at("error").textContent = sentence(error.message); });
