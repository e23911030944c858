// Step 2: the clip is prepared; its preview and what the doctor found are shown.

import { jobView } from "./job.js";
import { button, el, get, post, sentence } from "./page.js";

export function prepareStep({ name, go, refresh, lastJob }) {
  const message = el("p", { className: "error", role: "alert" });
  const start = el("input", { type: "number", min: 0, step: 0.1, placeholder: "0", ariaLabel: "From second" });
  const end = el("input", { type: "number", min: 0, step: 0.1, placeholder: "end", ariaLabel: "To second" });
  const clip = el("video", { controls: true, preload: "metadata" });
  const number = (field) => (field.value === "" ? null : Number(field.value));
  const ask = el("div", { className: "stack" }, clip,
    el("div", { className: "row" }, "Use it from", start, "to", end, "seconds ",
      button("start here", () => { start.value = clip.currentTime.toFixed(1); }, { small: true }),
      button("end here", () => { end.value = clip.currentTime.toFixed(1); }, { small: true })),
    button("Prepare", async () => {
      await post(`/api/people/${name}/prepare`, { start: number(start), end: number(end) });
      await refresh();
    }, { main: true, message }));
  const job = jobView();
  const another = el("div", { className: "row", hidden: true },
    button("Take another clip", () => go(name, "clip"), { message }));
  const preview = el("video", { controls: true, muted: true, loop: true, hidden: true });
  const missing = el("p", { className: "note", hidden: true }, "There is no clip yet; see step 1.");
  const findings = el("div", { className: "stack" });
  const onwards = el("div", { className: "row", hidden: true },
    button("Use it", () => go(name, "train"), { main: true, message }),
    button("Take another clip", () => go(""), { message }));
  const node = el("div", { className: "stack" }, el("h2", {}, `Prepare ${name}`),
    el("p", { className: "faint" }, "Finds face, pose, outline and background in every frame. On two idle processor cores it takes about five times as long as the clip."),
    missing, ask, message, job.node, another, preview, findings, onwards);
  let asked = false;

  async function examine(person) {
    asked = true;
    preview.hidden = !person.preview;
    if (person.preview) preview.src = `/files/preview/${name}`;
    findings.replaceChildren(el("p", { className: "faint" }, "Looking for faults …"));
    try {
      const found = (await get(`/api/people/${name}/findings`)).findings;
      findings.replaceChildren(found.length ? el("h3", {}, "What to know about this clip") : el("p", { className: "good" }, "No faults found."),
        ...found.map((one) => el("p", { className: `note ${one.severity}` }, sentence(one.seen), el("span", { className: "faint" }, ` ${sentence(one.remedy)} (${one.where})`))));
    } catch (error) { findings.replaceChildren(el("p", { className: "error" }, sentence(error.message))); }
  }

  return {
    node,
    update({ person }) {
      const last = lastJob(name, "prepare", "example");
      const busy = last && ["running", "waiting"].includes(last.state);
      job.update(last);
      if (person.clip && !clip.src) clip.src = `/files/clip/${name}`;
      ask.hidden = busy || person.prepared || !person.clip;
      missing.hidden = person.clip || person.prepared || busy;
      another.hidden = last?.state !== "failed" || person.prepared;
      onwards.hidden = !person.prepared || busy;
      if (person.prepared && !busy && !asked) examine(person);
    },
  };
}
