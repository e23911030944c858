// Blocks of 640 samples (40 ms) of the microphone, as 16-bit integers.
class Blocks extends AudioWorkletProcessor {
  #block = new Int16Array(640);
  #filled = 0;

  process([[samples]]) {
    for (const value of samples ?? []) {
      this.#block[this.#filled++] = Math.max(-1, Math.min(1, value)) * 32767;
      if (this.#filled === this.#block.length) {
        this.port.postMessage(this.#block.slice());
        this.#filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("blocks", Blocks);
