// The studio: people along the top, four steps for each. The address names person and
// step, and everything else is asked of the server, so a reload loses nothing.

import { clipStep } from "./clip.js";
import { described } from "./job.js";
import { el, get } from "./page.js";
import { prepareStep } from "./prepare.js";
import { speakStep } from "./speak.js";
import { trainStep } from "./train.js";

const STEPS = { clip: ["Clip", clipStep], prepare: ["Prepare", prepareStep], train: ["Train", trainStep], speak: ["Speak", speakStep] };
const at = (id) => document.getElementById(id);
let state = null, current = "", panel = null;

function place() {
  const [name = "", step = ""] = decodeURIComponent(location.hash.slice(1)).split("/");
  const person = state.people.find((one) => one.name === name) ?? { name, clip: false, prepared: false, run: null };
  return { name, person, step: step in STEPS ? step : next(person) };
}

// The step to be done next.
function next(person) {
  if (person.run) return busy(person, "train") ? "train" : "speak";
  if (person.prepared) return "train";
  return person.clip || busy(person, "prepare") ? "prepare" : "clip";
}

function busy(person, kind) {
  return state.jobs.some((job) => job.person === person.name && job.kind === kind && ["running", "waiting"].includes(job.state));
}

// The last job of a person of one of these kinds.
export function lastJob(name, ...kinds) {
  return state.jobs.filter((job) => job.person === name && kinds.includes(job.kind)).at(-1);
}

function show() {
  const { name, person, step } = place();
  showPeople(name);
  showSteps(person, step);
  showQueue(name);
  if (current !== `${name}/${step}`) {
    current = `${name}/${step}`;
    panel?.close?.();  // camera and microphone go off with their step
    panel = STEPS[step][1]({ name, go, refresh, lastJob, state: () => state });
    at("panel").replaceChildren(panel.node);
    document.title = name ? `${name} · LokiTalk studio` : "LokiTalk studio";
  }
  panel.update({ person, state });
}

function showPeople(name) {
  const links = state.people.map((one) => el("a", { href: `#${one.name}`, ...(one.name === name ? { "aria-current": "page" } : {}) }, one.name));
  at("people").replaceChildren(...links, el("a", { href: "#", ...(name ? {} : { "aria-current": "page" }) }, "+ New"));
}

function showSteps(person, step) {
  const done = { clip: person.clip || person.prepared, prepare: person.prepared, train: Boolean(person.run), speak: Boolean(lastJob(person.name, "speak")?.state === "done") };
  at("steps").hidden = !person.name;
  at("steps").replaceChildren(...Object.entries(STEPS).map(([key, [title]], index) => {
    const running = busy(person, key);
    const words = running ? "running" : done[key] ? "done" : next(person) === key ? "next" : " ";
    return el("li", {}, el("a", { href: `#${person.name}/${key}`, ...(key === step ? { "aria-current": "step" } : {}) },
      el("b", {}, `${index + 1} ${title}`), el("span", { className: `faint ${words}` }, words)));
  }));
}

function showQueue(name) {
  const others = state.jobs.filter((job) => job.person !== name && ["running", "waiting"].includes(job.state));
  at("queue").replaceChildren(...others.map((job) => el("p", { className: "faint" }, el("a", { href: `#${job.person}` }, job.person), ` – ${described(job)}`)));
}

export function go(name, step = "") {
  location.hash = step ? `${name}/${step}` : name;
}

async function refresh() {
  try {
    state = await get("/api/state");
    at("lost").hidden = true;
    show();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    at("lost").hidden = false;
  }
}

async function keepFresh() {
  await refresh().catch(console.error);
  setTimeout(keepFresh, document.hidden ? 5000 : 1000);
}

// A file that misses its place must not replace the page.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
window.addEventListener("hashchange", () => state && show());
keepFresh();
