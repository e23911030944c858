// Step 4: the avatar speaks a sound; the video and the curves are downloaded.

import { jobView } from "./job.js";
import { button, dropZone, el, post, sentence, upload } from "./page.js";
import { recordSound } from "./recorder.js";

export function speakStep({ name, refresh, lastJob, state }) {
  const message = el("p", { className: "error", role: "alert" });
  const bar = el("progress", { max: 1, value: 0, hidden: true, ariaLabel: "Upload" });
  const identity = el("select", { ariaLabel: "Avatar" }), head = el("select", { ariaLabel: "Head" },
    el("option", { value: "own" }, "moves as in the clip"), el("option", { value: "still" }, "keeps still"));
  const lips = el("input", { type: "range", min: 0, max: 2, step: 0.1, value: 1, ariaLabel: "Strength of the lips" });
  const clips = el("select", { ariaLabel: "Sound of a clip" });
  let running = null, closed = false;

  async function speak(sound) {
    await post(`/api/people/${name}/speak`, { ...sound, identity: identity.value, head: head.value, gain: { lip: Number(lips.value) } });
    await refresh();
  }

  async function send(chosen) {
    message.textContent = "";
    bar.hidden = false;
    try {
      const { sound } = await upload("/api/sounds", chosen, (share) => { bar.value = share; });
      await speak({ sound });
    } catch (error) { message.textContent = sentence(error.message); } finally { bar.hidden = true; }
  }

  const record = button("Record", async () => {
    if (running) return running.stop();
    const take = await recordSound();
    if (closed) return take.stop();
    running = take;
    record.textContent = "Stop and use it";
    take.file.then((recorded) => { running = null; record.textContent = "Record"; if (!closed) send(recorded); });
  }, { message });
  const drop = dropZone("Drop a sound here", "audio/*,video/*", send, record);
  drop.append(bar, el("div", { className: "row" }, "or say what", clips, "says", button("Use it", () => speak({ clip: clips.value }), { message })));

  const job = jobView();
  const frame = el("img", { className: "picture", alt: "The newest frame", hidden: true });
  frame.onload = () => { frame.hidden = false; };
  const live = el("a", { className: "button" }, "Talk to it live");
  const results = el("div", { className: "stack" });
  const choose = el("label", { className: "row" }, "Avatar", identity);
  const ask = el("div", { className: "stack" }, el("div", { className: "row" }, choose, el("label", { className: "row" }, "Head", head),
    el("label", { className: "row" }, "Lips", lips)), drop);
  const missing = el("p", { className: "note", hidden: true }, "There is no avatar yet; see step 3.");
  const node = el("div", { className: "stack" }, el("div", { className: "row" }, el("h2", {}, `${name} speaks`), live), missing, ask, message, job.node, frame, results);
  let shown = "";

  function fill(select, names) {
    if (select.dataset.names === names.join()) return;
    select.dataset.names = names.join();
    select.replaceChildren(...names.map((one) => el("option", { value: one }, one)));
  }

  identity.onchange = () => { live.href = address(); };
  const address = () => `viewer.html?run=${name}&identity=${identity.value}`;

  return {
    node,
    close() { closed = true; running?.stop(); },
    update({ person }) {
      missing.hidden = Boolean(person.run);
      ask.hidden = live.hidden = !person.run;
      fill(identity, person.run?.identities ?? []);
      choose.hidden = (person.run?.identities.length ?? 0) < 2;
      live.href = address();
      fill(clips, state().people.filter((one) => one.prepared).map((one) => one.name));
      const last = lastJob(name, "speak"), stage = last?.stages.at(-1);
      job.update(last);
      if (last?.state !== "running") frame.hidden = true;
      else if (stage?.stage === "rendering" && stage.done) frame.src = `/files/frame/${last.key}?${stage.done}`;
      const done = state().jobs.filter((one) => one.person === name && one.kind === "speak" && one.state === "done").reverse();
      const now = done.map((one) => one.key).join();
      if (now !== shown) { shown = now; results.replaceChildren(...done.slice(0, 6).map(resultView)); }
    },
  };
}

function resultView({ key, ended }) {
  return el("div", { className: "stack" }, el("video", { controls: true, src: `/files/speech/${key}`, preload: "metadata" }),
    el("div", { className: "row" }, el("a", { href: `/files/speech/${key}`, download: `${key}.mp4` }, "Download the video"),
      el("a", { href: `/files/curves/${key}`, download: `${key}.csv` }, "Download the curves"),
      el("span", { className: "faint" }, new Date(1000 * ended).toLocaleString())));
}
