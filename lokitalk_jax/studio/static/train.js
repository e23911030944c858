// Step 3: training, with consent; a picture and a curve show how far it is.

import { jobView } from "./job.js";
import { button, el, get, post } from "./page.js";

const WORDS = {
  draft: "a small picture, in minutes on any machine",
  standard: "a clear picture, in several minutes",
  full: "the best picture, in a quarter of an hour on two idle processor cores",
};

export function trainStep({ name, go, refresh, lastJob, state }) {
  const message = el("p", { className: "error", role: "alert" });
  const consent = el("input", { type: "checkbox", id: "consent" });
  const before = presetOf(lastJob(name, "train"));
  const choices = state().presets.map((preset, index) => el("label", {},
    el("input", { type: "radio", name: "preset", value: preset.name, checked: preset.name === before || (!before && index === 0) }),
    el("b", {}, `${preset.name[0].toUpperCase()}${preset.name.slice(1)}, ${preset.size} pixels`),
    el("span", { className: "faint" }, WORDS[preset.name])));
  const begin = button("Start training", async () => {
    await post(`/api/people/${name}/train`, { preset: preset(), consent: consent.checked });
    await refresh();
  }, { main: true, message });
  begin.disabled = true;
  const kept = el("p", { className: "note", hidden: true });
  const preset = () => node.querySelector("[name=preset]:checked").value;
  const ask = el("div", { className: "stack" }, el("div", { className: "choices" }, ...choices),
    el("label", { className: "tick" }, consent, "This is me, or the person agreed to be trained on. Videos of the avatar are marked as synthetic."), kept, begin);
  const missing = el("p", { className: "note", hidden: true }, "The clip is not prepared yet; see step 2.");
  const job = jobView("Stop and keep");
  const curve = el("div"), picture = el("img", { className: "picture", alt: "Truth, render, depth, regions and motion of a held-out frame", hidden: true });
  const caption = el("p", { className: "faint", hidden: true }, "A frame that training never sees: truth, render, depth, regions, motion.");
  const onwards = el("div", { className: "row", hidden: true }, button("Let it speak", () => go(name, "speak"), { main: true, message }));
  const node = el("div", { className: "stack" }, el("h2", {}, `Train the avatar of ${name}`), missing, ask, message, job.node, picture, caption, curve, onwards);
  let shown = "", timer = 0, looked = null, offer = () => {};
  ask.onchange = () => offer();

  async function look() {
    timer = Date.now();
    const { curve: points, picture: time } = await get(`/api/people/${name}/training`);
    if (time && String(time) !== shown) {
      shown = String(time);
      picture.hidden = caption.hidden = false;
      picture.src = `/files/training/${name}?${time}`;
    }
    if (points.length > 1) curve.replaceChildren(drawn(points));
  }

  return {
    node,
    update({ person }) {
      const last = lastJob(name, "train");
      const busy = last && ["running", "waiting"].includes(last.state);
      job.update(last);
      missing.hidden = person.prepared;
      ask.hidden = busy || !person.prepared;
      offer = () => {
        const earlier = presetOf(last), another = person.run && earlier && earlier !== preset();
        const complete = last?.state === "done" && earlier === preset();
        begin.textContent = complete ? "Trained" : person.run && !another ? "Train on" : "Start training";
        begin.disabled = complete || !consent.checked;
        kept.hidden = !another;
        kept.textContent = `The avatar that ${name} has now is kept as ${name}-${earlier}.`;
      };
      offer();
      onwards.hidden = busy || !person.run;
      // Once more at the end, for the last picture.
      if (busy ? Date.now() - timer > 2000 : person.run && looked !== last?.ended) look();
      looked = busy ? null : last?.ended;
    },
  };
}

function presetOf(job) {
  return job?.command.match(/single_id:(\w+)/)?.[1];
}

function drawn(points) {
  const values = points.map(([, value]) => value);
  const low = Math.min(...values), high = Math.max(...values, low + 1), last = points.at(-1);
  const x = (step) => (100 * (step - points[0][0])) / (last[0] - points[0][0]);
  const y = (value) => 38 - (36 * (value - low)) / (high - low);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "curve");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", `M${points.map(([step, value]) => `${x(step)} ${y(value)}`).join("L")}`);
  svg.append(path);
  return el("div", {}, svg, el("p", { className: "faint" }, `Likeness (PSNR) ${last[1].toFixed(1)} dB after ${last[0]} steps; higher is better.`));
}
