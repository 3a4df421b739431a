// Where the time goes from a pointer's event to the bars that it moved, in milliseconds.

const PARTS = {
  browser: "browser",
  way: "WebSocket",
  bridge: "bridge",
  server: "server",
  paint: "to screen",
};
const REMEMBERED = 60;

/** The parts of one answer; instants by `performance.now()`. */
export function partsOf({ event, sent, received, painted }, { bridge_ms, server_ms }) {
  return {
    browser: sent - event,
    way: Math.max(0, received - sent - bridge_ms - server_ms),
    bridge: bridge_ms,
    server: server_ms,
    paint: painted - received,
  };
}

export class Times {
  #rows = {};
  #last = [];

  constructor(list, stack, total) {
    this.total = total;
    for (const [part, name] of Object.entries(PARTS)) {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      const value = document.createElement("dd");
      const piece = document.createElement("span");
      row.className = piece.className = part;
      term.textContent = name;
      value.textContent = "–";
      row.append(term, value);
      list.append(row);
      stack.append(piece);
      this.#rows[part] = { value, piece };
    }
    this.model = document.createElement("dd");
    const row = document.createElement("div");
    const term = document.createElement("dt");
    term.textContent = "model alone";
    row.className = "model";
    this.model.textContent = "–";
    row.append(term, this.model);
    list.append(row);
  }

  /** Shows the medians of the last answers. */
  show(parts, model) {
    this.#last.push({ ...parts, model });
    if (this.#last.length > REMEMBERED) this.#last.shift();
    let sum = 0;
    for (const [part, { value, piece }] of Object.entries(this.#rows)) {
      const middle = median(this.#last.map((each) => each[part]));
      sum += middle;
      value.textContent = ms(middle);
      piece.style.flexGrow = middle;
    }
    this.model.textContent = ms(median(this.#last.map((each) => each.model)));
    this.total.textContent = ms(sum);
  }
}

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? 0;
}

export function ms(value) {
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}
