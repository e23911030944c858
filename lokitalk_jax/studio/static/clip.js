// Step 1: a clip, dropped, chosen, recorded, or that of an example.

import { button, dropZone, el, post, sentence, upload } from "./page.js";
import { cameraView } from "./recorder.js";

const ADVICE = ["One person, face and shoulders, a still camera and a still background.",
  "Even light on the face; no hands in front of it.",
  "Talk for ten seconds to two minutes, and look around a little."];

export function clipStep({ name, go, refresh, state }) {
  const message = el("p", { className: "error", role: "alert" });
  const who = el("input", { type: "text", value: name, id: "who", placeholder: "anna", maxLength: 64, autocomplete: "off", readOnly: Boolean(name) });
  const bar = el("progress", { max: 1, value: 0, hidden: true, ariaLabel: "Upload" });
  // A video that could not be sent is kept, so that a recording is not lost.
  let kept = null;
  const again = button("Send it again", () => send(kept), { main: true, message });
  again.hidden = true;
  who.onkeydown = ({ key }) => { if (key === "Enter" && kept) send(kept); };
  const camera = cameraView(send, message);

  // The name that was typed, or that of the file; throws where it cannot be used.
  function named(fallback = "") {
    const given = who.value.trim() || fallback;
    try {
      if (!given) throw new Error("Give the person a name first.");
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(given))
        throw new Error(`The name ${given} cannot be used: take letters from a to z, digits, hyphens and underscores, and no spaces.`);
      if (!name && state().people.some((one) => one.name === given))
        throw new Error(`${given} is here already: choose another name, or open ${given} above.`);
    } catch (error) { who.focus(); throw error; }
    who.value = given;
    return given;
  }

  async function send(chosen) {
    message.textContent = "";
    kept = chosen;
    bar.hidden = false;
    again.hidden = true;
    try {
      const given = named(chosen.name.replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 64));
      await upload(`/api/people/${given}/clip`, chosen, (share) => { bar.value = share; });
      kept = null;
      camera.close();
      await refresh();
      go(given, "prepare");
    } catch (error) {
      message.textContent = sentence(error.message);
      again.hidden = false;
    } finally { bar.hidden = true; }
  }

  const drop = dropZone("Drop a video here", "video/*,.mkv,.avi", send,
    button("Record one", () => { named(); return camera.open(); }, { message }),
    button("Use an example", async () => { const made = await post("/api/example"); await refresh(); go(made.name, "prepare"); }, { message }));
  drop.append(bar);

  const other = el("p", { className: "note", hidden: true }, `${name} is prepared already. Another clip makes another avatar: `,
    el("a", { href: "#" }, "make one"), ".");
  const known = el("video", { controls: true, hidden: true });
  const node = el("div", { className: "stack" },
    el("h2", {}, name ? `A clip of ${name}` : "Make a talking portrait"),
    el("p", { className: "faint" }, "A video of a person becomes an avatar that says whatever you want. Everything stays on this machine."),
    el("div", { className: "row" }, el("label", { htmlFor: "who" }, "Who is it?"), who),
    drop, message, again, camera.node, known, other,
    el("ul", { className: "plain faint" }, ...ADVICE.map((line) => el("li", {}, line))));
  return {
    node,
    close: camera.close,
    update({ person }) {
      drop.hidden = person.prepared;
      other.hidden = !person.prepared;
      if (person.clip && known.hidden) { known.hidden = false; known.src = `/files/clip/${person.name}`; }
    },
  };
}
