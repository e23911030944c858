// How a job is doing: its stages with bars, its place in the queue, and a stop button.

import { button, command, duration, el, post, sentence } from "./page.js";

const NAMES = { prepare: "Preparing", train: "Training", speak: "Rendering", example: "Making the example" };

export function jobView(stopText = "Stop") {
  const title = el("h3"), stages = el("div", { className: "stack" });
  const message = el("p", { className: "error", role: "alert" });
  const rest = el("div", { className: "row" });
  const node = el("div", { className: "stack", hidden: true }, title, stages, message, rest);
  let shown = "", key = "";
  const stop = button(stopText, () => post(`/api/jobs/${key}/stop`), { message });

  function update(job) {
    node.hidden = !job;
    if (!job) return;
    const now = JSON.stringify(job);
    if (now === shown) return;
    shown = now;
    key = job.key;
    title.textContent = described(job);
    stages.replaceChildren(...job.stages.map((one) => stageView(one, job.state === "running" && one === job.stages.at(-1))));
    message.textContent = job.state === "failed" ? sentence(job.message) : "";
    if (rest.dataset.state !== job.key + job.state) {
      rest.dataset.state = job.key + job.state;
      const busy = job.state === "running" || job.state === "waiting";
      rest.replaceChildren(...(busy ? [stop] : []), command(job.command),
        job.state === "failed" ? el("a", { href: `/files/log/${job.key}`, target: "_blank" }, "Log") : "");
    }
  }
  return { node, update };
}

export function described(job) {
  const name = NAMES[job.kind] || job.kind;
  if (job.state === "waiting")
    return job.place ? `${name}: number ${job.place + 1} in the queue` : `${name}: starts as soon as the machine is free`;
  return { running: `${name} …`, done: `${name}: done`, failed: `${name} did not work`, stopped: `${name}: stopped` }[job.state];
}

// A stage that has ended leaves no bar moving and no time.
function stageView({ stage, done, total, seconds_left: left }, running) {
  const bar = el("progress", { ariaLabel: stage });
  if (total || !running) { bar.max = total || 1; bar.value = total ? done : 1; }
  const complete = total && done >= total;
  return el("div", { className: "stage" }, el("span", {}, stage[0].toUpperCase() + stage.slice(1)),
    el("span", { className: "faint" }, complete ? "done" : left && running ? `${duration(left)} left` : total ? `${done} of ${total}` : ""), bar);
}
