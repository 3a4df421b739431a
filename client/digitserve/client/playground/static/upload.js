// The upload view: files go to the bridge one after the other; images, matrix and mistakes come back.

import { percent } from "./bars.js";
import { Grid } from "./grid.js";
import { PIXELS } from "./image.js";
import { Matrix } from "./matrix.js";
import { unpacked } from "./wire.js";

// As the bridge has it; said here before anything is sent.
const MAX_BYTES = 64 * 1024 * 1024;

export class Upload {
  #get;
  #items = [];
  #grid;
  #matrix;
  #busy = Promise.resolve();

  constructor(get, thresholdOf) {
    this.#get = get;
    this.#grid = new Grid(get, thresholdOf);
    this.#matrix = new Matrix(get, (cell) => this.#grid.filter(cell));
    get("files").addEventListener("change", (event) => this.#take([...event.target.files]));
    const drop = get("drop");
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.#take([...event.dataTransfer.files]);
    });
  }

  #take(files) {
    if (files.length) this.#busy = this.#busy.then(() => this.#read(files));
  }

  async #read(files) {
    this.#items = [];
    this.#get("upload-errors").replaceChildren();
    let labels = null;
    let more = false;
    for (const [at, file] of files.entries()) {
      this.#say(`Reading ${file.name} (${at + 1} of ${files.length}) …`);
      try {
        const end = await this.#send(file);
        if (end.alone) labels = end.labels;
        else if (end.labels) this.#label(this.#items.slice(-end.count), end.labels);
        more ||= Boolean(end.more);
      } catch (error) {
        this.#fail(error.message);
      }
    }
    if (labels && labels.length >= this.#items.length) this.#label(this.#items, labels);
    else if (labels) this.#fail(`${labels.length} labels for ${this.#items.length} images`);
    this.#show(more);
  }

  /** Sends a file; takes the lines of the answer as they come.  Gives the last one. */
  async #send(file) {
    if (file.size > MAX_BYTES) throw new Error(`${file.name}: expected at most 64 MB, got more`);
    const response = await fetch(`upload?name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      body: file,
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let end = {};
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) end = this.#line(JSON.parse(line));
    }
    if (rest) end = this.#line(JSON.parse(rest));
    return end;
  }

  #line(said) {
    if (said.error) throw new Error(said.error);
    if (!said.pixels) return said;
    const pixels = unpacked(said.pixels);
    said.names.forEach((name, at) => {
      this.#items.push({
        name,
        pixels: pixels.subarray(at * PIXELS, (at + 1) * PIXELS),
        digit: said.digits[at],
        confidence: said.confidences[at],
        rejection: said.rejections[at],
        version: said.version,
        label: null,
      });
    });
    this.#say(`${this.#items.length} images read …`);
    return said;
  }

  #label(items, labels) {
    items.forEach((item, at) => {
      item.label = labels[at];
    });
  }

  #show(more) {
    const labelled = this.#items.filter((item) => item.label !== null);
    const right = labelled.filter((item) => item.label === item.digit).length;
    const known = labelled.length
      ? `; ${right} of ${labelled.length} right (${percent(right / labelled.length)})`
      : "; no labels";
    const first = more ? "the first " : "";
    this.#say(`${first}${this.#items.length} image${this.#items.length === 1 ? "" : "s"}${known}.`);
    this.#matrix.show(labelled);
    this.#grid.show(this.#items);
  }

  #say(text) {
    this.#get("upload-said").textContent = text;
  }

  #fail(text) {
    const item = document.createElement("li");
    item.textContent = text;
    this.#get("upload-errors").append(item);
  }
}
