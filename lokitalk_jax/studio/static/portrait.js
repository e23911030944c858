// A talking portrait on a canvas, for the pages of the studio and for any other page.
//
//   const portrait = new Portrait(canvas, { run: "me" });
//   button.onclick = () => portrait.start();      // sound needs a click
//   portrait.feed(samples);                       // Int16Array, 16 kHz mono
//
// Each frame comes with the sound that belongs to it. Both are put on the clock of the
// sound output, so the picture is shown when its sound is heard. Events: "ready",
// "report", "error", "end"; their detail is what the server sent.

const RATE = 16000;
const SAMPLES = 640;
const FRAME = SAMPLES / RATE;
const HEAD = 8;
// Seconds that frames wait for those which come later: the first frame; any, at least;
// beyond the time that most of the last LAGS frames needed; beyond their median, at most;
// and by how much this changes with each frame.
const FIRST = 0.06, SOON = 0.01, SLACK = 0.02, MOST = 0.6, STEP = 0.005;
const LAGS = 100;

export class Portrait extends EventTarget {
  // Where a map is shown, from 0 (everywhere) to 1 (nowhere).
  split = 0.5;
  muted = false;

  #canvas; #address; #socket; #context; #output; #picture; #hasMap = false;
  #base = null; #held = FIRST; #lags = []; #unanswered = []; #onClock = "";
  #frames = []; #sources = new Set(); #painted = null; #offsets = []; #drawn = 0;
  #microphone = null; #turn = 0;  // the last call of `microphone`

  constructor(canvas, { url = location.origin, run, identity = "", token = "", size = "" }) {
    super();
    this.#canvas = canvas;
    const address = new URL(`/api/live/${encodeURIComponent(run)}`, url);
    address.protocol = address.protocol.replace("http", "ws");
    if (identity) address.searchParams.set("identity", identity);
    if (size) address.searchParams.set("size", size);
    if (token) address.searchParams.set("token", token);
    this.#address = address;
  }

  get connected() { return this.#socket?.readyState === WebSocket.OPEN; }

  // Call it on a click, or there will be no sound.
  start() {
    this.#context ??= new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    if (!this.#output) {
      this.#output = this.#context.createGain();
      this.#output.connect(this.#context.destination);
    }
    this.#context.resume();
    if (this.#socket && this.#socket.readyState < WebSocket.CLOSING) return;
    this.#drop();
    this.#socket = new WebSocket(this.#address);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) =>
      typeof data === "string" ? this.#tell(JSON.parse(data)) : this.#receive(data);
    this.#socket.onclose = () => { this.microphone(false); this.#emit("end", {}); };
    requestAnimationFrame(this.#show);
  }

  stop() {
    this.#socket?.close();
    this.microphone(false);
  }

  // Settings of the avatar: gain, controls, sources, map, background.
  set(settings) { this.#send(settings); }

  // What it says: Int16Array, or Float32Array in [-1, 1], 16 kHz mono, any length.
  feed(samples) {
    const whole = samples instanceof Int16Array ? samples
      : Int16Array.from(samples, (x) => Math.max(-1, Math.min(1, x)) * 32767);
    // Pieces of at most ten seconds, below the server's limit for one message.
    for (let at = 0; at < whole.length && this.connected; at += 10 * RATE)
      this.#socket.send(whole.slice(at, at + 10 * RATE));
  }

  // A file on the server: { clip: NAME } or { sound: KEY }.
  play(what) { this.#send({ play: what }); }

  interrupt() { this.#send({ interrupt: true }); }

  // Switches the microphone on or off. It is not played back unless `aloud`.
  async microphone(on, aloud = false) {
    const turn = ++this.#turn;
    this.#microphone?.disconnect();  // or it goes on with silence
    this.#microphone?.mediaStream.getTracks().forEach((track) => track.stop());
    this.#microphone = null;
    this.muted = on && !aloud;
    this.#send({ microphone: on });
    if (!on) return;
    if (!navigator.mediaDevices)
      throw new Error("browsers give the microphone to localhost and https pages only");
    const module = new URL("microphone.worklet.js", import.meta.url);
    await this.#context.audioWorklet.addModule(module);
    const heard = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: aloud, noiseSuppression: false, autoGainControl: false },
    });
    // Permission may come when the microphone is not wanted any more.
    if (turn !== this.#turn) return heard.getTracks().forEach((track) => track.stop());
    const blocks = new AudioWorkletNode(this.#context, "blocks", { numberOfOutputs: 0 });
    blocks.port.onmessage = ({ data }) => this.feed(data);
    this.#microphone = this.#context.createMediaStreamSource(heard);
    this.#microphone.connect(blocks);
  }

  // Picture and sound as one stream, to record.
  stream() {
    const sound = this.#context.createMediaStreamDestination();
    this.#output.connect(sound);
    return new MediaStream([
      ...this.#canvas.captureStream(25).getTracks(), ...sound.stream.getTracks(),
    ]);
  }

  // How the page is doing: seconds that frames wait, pictures drawn so far, and the last
  // offsets of pictures from their sound, seconds.
  get playing() {
    return { held: this.#held, drawn: this.#drawn, offsets: this.#offsets.slice() };
  }

  #send(message) { if (this.connected) this.#socket.send(JSON.stringify(message)); }
  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #tell(message) {
    if (message.interrupted) this.#silence();
    for (const type of ["ready", "report", "error", "opening"])
      if (message[type] !== undefined) this.#emit(type, message[type]);
  }

  // The clock of the sound, or that of the page while sound is not allowed.
  #now() {
    const running = this.#context.state === "running";
    const clock = running ? "sound" : "page";
    if (clock !== this.#onClock) { this.#onClock = clock; this.#drop(); }
    return running ? this.#context.currentTime : performance.now() / 1000;
  }

  #receive(data) {
    const head = new DataView(data);
    const number = head.getUint32(0, true), size = head.getUint32(4, true);
    const now = this.#now();
    const sound = new Int16Array(data, HEAD, SAMPLES);
    const silent = this.muted || sound.every((x) => x === 0);
    const time = this.#timed(number, now, silent);
    if (!silent && this.#onClock === "sound") this.#play(sound, time);
    if ((size & 0x7fffffff) === 0) return;
    const frame = { time, hasMap: size >>> 31 === 1, image: null };
    // A page in the background draws nothing, and lets the server rest.
    if (document.hidden) {
      this.#forget();
      this.#unanswered.push(number);
    } else this.#send({ received: number });
    this.#frames.push(frame);
    createImageBitmap(new Blob([new Uint8Array(data, HEAD + 2 * SAMPLES)]))
      .then((image) => { frame.image = image; });
  }

  // When a frame that has arrived is shown and heard. With sound, late enough for nearly
  // all of them; otherwise nothing has to stay whole, and it is as soon as most arrive.
  #timed(number, now, silent) {
    const begins = number * FRAME;
    this.#lags.push(now - begins);
    if (this.#lags.length > LAGS) this.#lags.shift();
    const sorted = this.#lags.toSorted((a, b) => a - b);
    const lag = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    const nearly = Math.min(lag(0.95), lag(0.5) + MOST);
    const wanted = (this.muted ? lag(0.5) : nearly) + SLACK;
    this.#base ??= now - begins + FIRST;
    if (silent) this.#base += Math.max(-STEP, Math.min(STEP, wanted - this.#base));
    const soonest = now - begins + SOON;
    // Too late for its sound: all are held back longer from here on.
    if (this.#base < soonest && !this.muted) this.#base = Math.max(wanted, soonest);
    const time = begins + Math.max(this.#base, soonest);
    this.#held += 0.05 * (time - now - this.#held);
    return time;
  }

  #play(sound, time) {
    const buffer = this.#context.createBuffer(1, SAMPLES, RATE);
    buffer.copyToChannel(Float32Array.from(sound, (x) => x / 32768), 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#output);
    source.start(time);
    this.#sources.add(source);
    source.onended = () => this.#sources.delete(source);
  }

  #silence() {
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
  }

  #forget() {
    for (const { image } of this.#frames.splice(0)) image?.close();
  }

  #drop() {
    this.#silence();
    this.#forget();
    this.#base = null;
    this.#lags = [];
    this.#unanswered = [];
  }

  #show = () => {
    for (const received of this.#unanswered.splice(0)) this.#send({ received });
    const now = this.#now();
    // What is played now is heard after the latency of the output; half of a screen's
    // frame centres the error.
    const heard = this.#onClock === "sound" ? this.#context.outputLatency || 0 : 0;
    let shown = null;
    while (this.#frames.length && this.#frames[0].time + heard <= now + 0.008) {
      if (!this.#frames[0].image) break;
      shown?.image.close();
      shown = this.#frames.shift();
    }
    if (shown) {
      this.#picture?.close();
      this.#picture = shown.image;
      this.#hasMap = shown.hasMap;
      this.#drawn++;
      this.#offsets.push(now - shown.time - heard);
      if (this.#offsets.length > 500) this.#offsets.shift();
    }
    if (this.#picture && (shown || this.split !== this.#painted)) this.#paint();
    if (this.#socket && this.#socket.readyState < WebSocket.CLOSING)
      requestAnimationFrame(this.#show);
  };

  #paint() {
    this.#painted = this.split;
    const { width, height } = this.#canvas, image = this.#picture;
    const wide = this.#hasMap ? image.width / 2 : image.width;
    const paper = this.#canvas.getContext("2d");
    paper.imageSmoothingQuality = "high";
    paper.drawImage(image, 0, 0, wide, image.height, 0, 0, width, height);
    if (!this.#hasMap) return;
    const from = this.split;
    paper.drawImage(image, wide * (1 + from), 0, wide * (1 - from), image.height,
      width * from, 0, width * (1 - from), height);
    if (from > 0) {
      paper.fillStyle = "#fff";
      paper.fillRect(width * from - 1, 0, 2, height);
    }
  }
}
