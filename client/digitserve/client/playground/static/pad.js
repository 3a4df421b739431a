// The pad: strokes by mouse, touch, pen or keyboard, on a canvas to look at and a small one to send.

const SIDE = 140; // of the picture that is sent
const STEP = 0.04; // of the keyboard's pen, as a share of the side
const SMALL_STEP = 0.01;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad extends EventTarget {
  brush = 0.08;
  strokes = [];
  #canvas;
  #shown;
  #sent;
  #pointer = null;
  #held = new Set();

  constructor(canvas, pen) {
    super();
    this.#canvas = canvas;
    this.pen = { x: 0.5, y: 0.3, down: false, mark: pen };
    this.#shown = canvas.getContext("2d");
    const small = document.createElement("canvas");
    small.width = small.height = SIDE;
    this.#sent = small.getContext("2d", { willReadFrequently: true });
    this.#listen();
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  get isBlank() {
    return this.strokes.length === 0;
  }

  /** The drawing as it is sent: its side and a byte of ink for each pixel, 0 = paper. */
  grey() {
    const pixels = this.#sent.getImageData(0, 0, SIDE, SIDE).data;
    const grey = new Uint8Array(SIDE * SIDE);
    for (let at = 0; at < grey.length; at += 1) grey[at] = pixels[4 * at];
    return { side: SIDE, grey };
  }

  undo() {
    this.#lift();
    if (!this.strokes.pop()) return;
    this.redraw();
    this.#changed(performance.now());
  }

  clear() {
    this.#lift();
    if (this.isBlank) return;
    this.strokes = [];
    this.redraw();
    this.#changed(performance.now());
  }

  redraw() {
    const box = this.#canvas.getBoundingClientRect();
    if (!box.width) return; // another view is shown
    const side = Math.round(box.width * devicePixelRatio);
    this.#canvas.width = this.#canvas.height = side;
    this.#sent.fillStyle = "#000";
    this.#sent.fillRect(0, 0, SIDE, SIDE);
    for (const stroke of this.strokes) this.#draw(stroke, 0);
    this.#placePen();
  }

  // --- pointers -----------------------------------------------------------------------------------

  #listen() {
    this.#canvas.addEventListener("pointerdown", (event) => {
      if (this.#pointer !== null || event.button !== 0) return;
      this.#pointer = event.pointerId;
      this.#canvas.setPointerCapture(event.pointerId);
      this.pen.mark.hidden = true;
      this.#begin(this.#place(event), event.timeStamp);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.#pointer) return;
      const between = event.getCoalescedEvents?.() ?? [];
      const places = (between.length ? between : [event]).map((each) => this.#place(each));
      this.#extend(places, event.timeStamp);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.#canvas.addEventListener(end, (event) => {
        if (event.pointerId === this.#pointer) this.#pointer = null;
      });
    }
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#canvas.addEventListener("keyup", (event) => this.#held.delete(event.key));
    this.#canvas.addEventListener("blur", () => {
      this.#held.clear();
      this.#lift();
      this.pen.mark.hidden = true;
    });
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  #begin(place, time) {
    this.strokes.push({ brush: this.brush, points: [place] });
    this.#draw(this.strokes.at(-1), 0);
    this.#changed(time);
  }

  #extend(places, time) {
    const stroke = this.strokes.at(-1);
    if (!stroke) return; // cleared in the middle of it
    const from = stroke.points.length - 1;
    stroke.points.push(...places);
    this.#draw(stroke, from);
    this.#changed(time);
  }

  #changed(time) {
    this.dispatchEvent(new CustomEvent("change", { detail: { time } }));
  }

  // --- the keyboard's pen -------------------------------------------------------------------------

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS) this.#move(event);
    else if (event.key === " ") this.#toggle(event.timeStamp);
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Escape") this.clear();
    else return;
    event.preventDefault();
  }

  #move(event) {
    this.#held.add(event.key);
    const step = event.shiftKey ? SMALL_STEP : STEP;
    for (const key of this.#held) {
      const [right, down] = ARROWS[key];
      this.pen.x = Math.min(1, Math.max(0, this.pen.x + step * right));
      this.pen.y = Math.min(1, Math.max(0, this.pen.y + step * down));
    }
    if (this.pen.down) this.#extend([{ x: this.pen.x, y: this.pen.y }], event.timeStamp);
    this.#showPen();
  }

  #toggle(time) {
    this.pen.down = !this.pen.down;
    if (this.pen.down) this.#begin({ x: this.pen.x, y: this.pen.y }, time);
    this.#showPen();
    this.dispatchEvent(new CustomEvent("pen", { detail: this.pen.down }));
  }

  /** Ends whatever stroke is being drawn. */
  #lift() {
    this.#pointer = null;
    this.pen.down = false;
    this.pen.mark.classList.remove("down");
  }

  #showPen() {
    this.pen.mark.hidden = false;
    this.pen.mark.classList.toggle("down", this.pen.down);
    this.#placePen();
  }

  #placePen() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    this.pen.mark.style.transform = `translate(${this.pen.x * width}px, ${this.pen.y * height}px)`;
  }

  // --- drawing ------------------------------------------------------------------------------------

  #draw(stroke, from) {
    const ink = getComputedStyle(this.#canvas).getPropertyValue("--ink");
    line(this.#shown, this.#canvas.width, stroke, from, ink);
    line(this.#sent, SIDE, stroke, from, "#fff");
  }
}

function line(context, side, stroke, from, colour) {
  const points = stroke.points.slice(from);
  context.strokeStyle = colour;
  context.lineWidth = stroke.brush * side;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(points[0].x * side, points[0].y * side);
  for (const { x, y } of points) context.lineTo(x * side, y * side);
  context.stroke();
}
