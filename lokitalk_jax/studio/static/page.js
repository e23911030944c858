// What the pages of the studio share: elements, requests, words.

// An element: el("p", { className: "faint" }, "text", node, ...).
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export async function get(path) {
  return answered(await fetch(path));
}

export async function post(path, body = {}) {
  return answered(await fetch(path, { method: "POST", body: JSON.stringify(body) }));
}

async function answered(response) {
  const text = await response.text();
  let found;
  try { found = JSON.parse(text); } catch { found = { error: text }; }
  if (!response.ok) throw new Error(found.error || `the studio answered ${response.status}`);
  return found;
}

// Sends a file and tells how far it is, from 0 to 1.
export async function upload(path, file, onProgress = () => {}) {
  // A server that refuses a file before its end looks like a broken connection.
  const { largest_upload: largest } = await get("/api/state");
  if (file.size > largest)
    throw new Error(`the file is larger than ${Math.round(largest / 1e6)} MB; cut it, two minutes are enough`);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${path}?file=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onerror = () => reject(new Error(
      "the connection broke before the file was complete; try again"));
    request.onload = () => {
      let found;
      try { found = JSON.parse(request.responseText); } catch { found = {}; }
      if (request.status < 300) resolve(found);
      else reject(new Error(found.error || `the studio answered ${request.status}`));
    };
    request.send(file);
  });
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

// A button that shows what went wrong in `message` when its action fails.
export function button(text, action, { main = false, message = null, small = false } = {}) {
  const node = el("button", { type: "button", className: `${main ? "main" : ""} ${small ? "small" : ""}` }, text);
  node.onclick = async () => {
    node.disabled = true;
    if (message) message.textContent = "";
    try { await action(); } catch (error) {
      if (message) message.textContent = sentence(error.message);
      else throw error;
    } finally { node.disabled = false; }
  };
  return node;
}

// An area that takes a dropped or chosen file, with more buttons; `send` gets the file.
export function dropZone(title, accept, send, ...buttons) {
  const file = el("input", { type: "file", accept, hidden: true });
  // Emptied, so that the same file can be chosen again.
  file.onchange = () => { const [chosen] = file.files; file.value = ""; if (chosen) send(chosen); };
  const node = el("div", { className: "drop" }, el("b", {}, title),
    el("div", { className: "row" }, button("Choose a file", () => file.click(), { main: true }), ...buttons), file);
  node.ondragover = (event) => { event.preventDefault(); node.classList.add("over"); };
  node.ondragleave = () => node.classList.remove("over");
  node.ondrop = (event) => {
    event.preventDefault();
    node.classList.remove("over");
    if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  };
  return node;
}

export function sentence(text) {
  const whole = text.trim();
  return whole[0].toUpperCase() + whole.slice(1) + (/[.!?]$/.test(whole) ? "" : ".");
}

// A command with a button that copies it.
export function command(text) {
  return el("details", {}, el("summary", { className: "faint" }, "The same as a command"),
    el("span", { className: "command" }, text),
    button("Copy", () => navigator.clipboard.writeText(text), { small: true }));
}
