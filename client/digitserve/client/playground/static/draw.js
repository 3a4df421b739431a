// The draw view: every change of the pad is sent, and its answer shown.

import { Bars, percent } from "./bars.js";
import { blank, paint } from "./image.js";
import { Pad } from "./pad.js";
import { savePng, saveReport } from "./save.js";
import { partsOf, Times } from "./times.js";
import { DRAWING, NEGATIVE, packed, UNCENTRED, unpacked } from "./wire.js";

const QUIET_MS = 700; // after which an answer is read out
const HISTORY = 100;

export class Draw {
  #socket;
  #get;
  #pad;
  #waiting = null; // the instant of the newest change that was not sent
  #cleared = 0; // the last frame before the pad was cleared
  #history = [];
  #said = null;
  #reading = 0;

  constructor(socket, get, thresholdOf) {
    this.#socket = socket;
    this.#get = get;
    this.thresholdOf = thresholdOf;
    this.#pad = new Pad(get("pad"), get("pen"));
    this.bars = new Bars(get("bars"));
    this.times = new Times(get("times"), get("parts"), get("times-total"));
    this.#listen();
  }

  /** Sends what is drawn once more: the server is back, or another version answers. */
  again() {
    if (!this.#pad.isBlank) this.#change(performance.now());
  }

  shown() {
    this.#pad.redraw();
  }

  #listen() {
    const get = this.#get;
    this.#pad.addEventListener("change", ({ detail }) => this.#change(detail.time));
    this.#pad.addEventListener("pen", ({ detail }) => {
      get("pen-live").textContent = detail ? "pen down" : "pen up";
    });
    get("undo").addEventListener("click", () => this.#pad.undo());
    get("clear").addEventListener("click", () => this.#pad.clear());
    get("brush").addEventListener("change", (event) => {
      this.#pad.brush = Number(event.target.value);
    });
    for (const id of ["uncentred", "negative"])
      get(id).addEventListener("change", () => this.again());
    get("save-png").addEventListener("click", () => savePng(this.#pad.grey()));
    get("save-report").addEventListener("click", () => saveReport(this.#report()));
    this.#socket.addEventListener("free", () => {
      if (this.#waiting !== null) this.#change(this.#waiting);
    });
    this.#socket.addEventListener("answer", ({ detail }) => this.#answer(detail));
    this.#socket.addEventListener("blank", ({ detail }) => {
      if (detail.said.frame > this.#cleared) this.#showBlank();
    });
  }

  #change(time) {
    this.#get("pad-hint").hidden = !this.#pad.isBlank;
    if (this.#pad.isBlank) {
      this.#waiting = null;
      this.#cleared = this.#socket.last; // what is on its way is not shown
      this.#showBlank();
      return;
    }
    if (!this.#socket.free) {
      this.#waiting = time;
      return;
    }
    this.#waiting = null;
    const { side, grey } = this.#pad.grey();
    const about = { event: time, sent: performance.now() };
    this.#socket.send(DRAWING, this.#flags(), side, side, grey, about);
  }

  #flags() {
    return (
      (this.#get("uncentred").checked ? UNCENTRED : 0) |
      (this.#get("negative").checked ? NEGATIVE : 0)
    );
  }

  #answer({ said, about, received }) {
    if (said.frame <= this.#cleared) return;
    this.#said = said;
    this.#history.push(said);
    if (this.#history.length > HISTORY) this.#history.shift();
    const rejected = said.rejection >= this.thresholdOf(said.version);
    this.bars.show(said.probabilities);
    this.#get("verdict").dataset.state = rejected ? "rejected" : "digit";
    this.#get("digit").textContent = said.digit;
    this.#get("confidence").textContent = percent(said.confidence);
    this.#get("rejection").textContent = percent(said.rejection) + (rejected ? ": no digit" : "");
    this.#get("version").textContent = said.version;
    paint(this.#get("seen"), unpacked(said.seen));
    this.#readOut(
      rejected ? "no digit" : `${said.digit}, ${Math.round(100 * said.confidence)} percent`,
    );
    if (about)
      afterPaint(() => this.#timed(said, { ...about, received, painted: performance.now() }));
  }

  #timed(said, instants) {
    const parts = partsOf(instants, said.times);
    this.times.show(parts, said.times.model_ms);
    const total = instants.painted - instants.event;
    document.dispatchEvent(
      new CustomEvent("digitserve:answer", { detail: { said, parts, total } }),
    );
  }

  #showBlank() {
    this.#said = null;
    this.bars.clear();
    this.#get("verdict").dataset.state = "blank";
    for (const id of ["digit", "confidence", "rejection", "version"])
      this.#get(id).textContent = "–";
    blank(this.#get("seen"));
    this.#readOut("nothing drawn");
  }

  #readOut(text) {
    clearTimeout(this.#reading);
    this.#reading = setTimeout(() => {
      this.#get("draw-live").textContent = text;
    }, QUIET_MS);
  }

  #report() {
    const { side, grey } = this.#pad.grey();
    return {
      made: new Date().toISOString(),
      browser: navigator.userAgent,
      drawing: { width: side, height: side, grey_base64: packed(grey), strokes: this.#pad.strokes },
      sent_wrong: {
        uncentred: this.#get("uncentred").checked,
        negative: this.#get("negative").checked,
      },
      answer: this.#said,
      answers_before: this.#history.slice(0, -1),
    };
  }
}

/** Runs it when what was changed is on the screen, as near as a page can tell. */
function afterPaint(then) {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = then;
    channel.port2.postMessage(null);
  });
}
