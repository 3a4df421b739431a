// The page's one WebSocket: opened again, with growing pauses, whenever it is lost.
//
// Each message that is sent gets one answer; `free` says whether another may go now, so that a page
// that is faster than the server keeps its newest picture for itself, and nothing piles up between.

import { message, VERSION } from "./wire.js";

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 5000;
// Unanswered messages.  Of pictures that take long one is looked at and one waits.
const IN_FLIGHT = 2;
const SETTLING = new Set(["answer", "picture", "blank", "skipped", "failed"]);

export class Socket extends EventTarget {
  #socket = null;
  #pause = FIRST_PAUSE;
  #frame = 0;
  #open = new Map(); // by frame: what `send` was given with it

  constructor(address) {
    super();
    this.address = address;
    this.#connect();
  }

  get free() {
    return this.#socket?.readyState === WebSocket.OPEN && this.#open.size < IN_FLIGHT;
  }

  /** The number of the frame that was sent last. */
  get last() {
    return this.#frame;
  }

  /** Sends a picture; `about` comes back with its answer. */
  send(kind, flags, width, height, grey, about) {
    this.#frame = (this.#frame + 1) >>> 0;
    this.#open.set(this.#frame, about);
    this.#socket.send(message(kind, flags, this.#frame, width, height, grey));
    return this.#frame;
  }

  #connect() {
    this.#socket = new WebSocket(this.address);
    this.#socket.addEventListener("message", (event) => this.#heard(event.data));
    this.#socket.addEventListener("close", (event) => this.#lost(event));
  }

  #heard(text) {
    const received = performance.now();
    const said = JSON.parse(text);
    if (said.v !== VERSION) {
      this.#tell("lost", {
        message: "The page is older than the playground: load it again.",
        pause: 0,
      });
      return;
    }
    if (said.kind === "hello") this.#pause = FIRST_PAUSE;
    if (said.kind === "away") this.#open.clear(); // what it had gets no answer
    let about = null;
    if (SETTLING.has(said.kind)) {
      about = this.#open.get(said.frame) ?? null;
      this.#open.delete(said.frame);
    }
    this.#tell(said.kind, { said, about, received });
    if (this.free) this.#tell("free", {});
  }

  #lost(event) {
    this.#open.clear();
    this.#tell("lost", { message: event.reason, pause: this.#pause });
    setTimeout(() => this.#connect(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
