// Step 1: a clip, dropped, chosen, recorded, or that of an example.

import { button, el, post, upload } from "./page.js";
import { cameraView } from "./recorder.js";

const ADVICE = ["One person, face and shoulders, a still camera and a still background.",
  "Even light on the face; no hands in front of it.",
  "Talk for ten seconds to two minutes, and look around a little."];

export function clipStep({ name, go, refresh }) {
  const message = el("p", { className: "error", role: "alert" });
  const who = el("input", { type: "text", value: name, id: "who", placeholder: "anna", maxLength: 64, autocomplete: "off", readOnly: Boolean(name) });
  const file = el("input", { type: "file", accept: "video/*,.mkv,.avi", hidden: true });
  const bar = el("progress", { max: 1, value: 0, hidden: true, ariaLabel: "Upload" });
  const camera = cameraView(send, message);

  async function send(chosen) {
    message.textContent = "";
    const given = who.value.trim();
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(given)) {
      message.textContent = "Give the person a name first: letters, digits, hyphens and underscores.";
      return who.focus();
    }
    bar.hidden = false;
    try {
      await upload(`/api/people/${given}/clip`, chosen, (share) => { bar.value = share; });
      camera.close();
      await refresh();
      go(given, "prepare");
    } catch (error) {
      message.textContent = error.message[0].toUpperCase() + error.message.slice(1) + ".";
    } finally { bar.hidden = true; }
  }

  const drop = el("div", { className: "drop" }, el("b", {}, "Drop a video here"),
    el("div", { className: "row" }, button("Choose a file", () => file.click(), { main: true, message }),
      button("Record one", () => camera.open(), { message }),
      button("Use an example", async () => { const made = await post("/api/example"); await refresh(); go(made.name, "prepare"); }, { message })),
    bar);
  // Emptied, so that the same file can be chosen again.
  file.onchange = () => { const [chosen] = file.files; file.value = ""; if (chosen) send(chosen); };
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  };

  const known = el("video", { controls: true, hidden: true });
  const node = el("div", { className: "stack" },
    el("h2", {}, name ? `A clip of ${name}` : "Make a talking portrait"),
    el("p", { className: "faint" }, "A video of a person becomes an avatar that says whatever you want. Everything stays on this machine."),
    el("div", { className: "row" }, el("label", { htmlFor: "who" }, "Who is it?"), who),
    drop, file, message, camera.node, known,
    el("ul", { className: "plain faint" }, ...ADVICE.map((line) => el("li", {}, line))));
  return {
    node,
    update({ person }) {
      if (person.clip && known.hidden) { known.hidden = false; known.src = `/files/clip/${person.name}`; }
    },
  };
}
