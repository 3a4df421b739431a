// Images with what was read in them, sorted; a page of them at a time.

import { percent } from "./bars.js";
import { paint, SIDE } from "./image.js";

const PAGE = 120;
const isWrong = (item) => item.label !== null && item.label !== item.digit;
const ORDERS = {
  mistakes: (one, other) => isWrong(other) - isWrong(one) || mistake(other) - mistake(one),
  unsure: (one, other) => one.confidence - other.confidence,
  rejected: (one, other) => other.rejection - one.rejection,
  digit: (one, other) => one.digit - other.digit || other.confidence - one.confidence,
  given: () => 0,
};

// Of the wrong ones the surest are the worst; of the others the least sure come next.
function mistake(item) {
  return isWrong(item) ? item.confidence : -item.confidence;
}

export class Grid {
  #get;
  #items = [];
  #cell = null;
  #shown = PAGE;

  constructor(get, thresholdOf) {
    this.#get = get;
    this.thresholdOf = thresholdOf;
    get("sort").addEventListener("change", () => this.#draw(PAGE));
    get("more").addEventListener("click", () => this.#draw(this.#shown + PAGE));
    get("unfilter").addEventListener("click", () => this.filter(null));
  }

  show(items) {
    this.#items = items;
    this.#get("upload-grid-card").hidden = !items.length;
    this.filter(null);
  }

  /** Shows only those of a cell of the matrix: `{label, digit}`; null: all. */
  filter(cell) {
    this.#cell = cell;
    this.#get("unfilter").hidden = !cell;
    this.#draw(PAGE);
  }

  #draw(count) {
    const cell = this.#cell;
    const chosen = this.#items
      .filter((item) => !cell || (item.label === cell.label && item.digit === cell.digit))
      .sort(ORDERS[this.#get("sort").value]);
    this.#shown = count;
    this.#get("grid").replaceChildren(...chosen.slice(0, count).map((item) => this.#tile(item)));
    this.#get("more").hidden = chosen.length <= count;
    const what = cell ? ` that are ${cell.label} and were read as ${cell.digit}` : "";
    this.#get("grid-count").textContent =
      `${Math.min(count, chosen.length)} of ${chosen.length} images${what}`;
  }

  #tile(item) {
    const tile = document.createElement("li");
    const canvas = document.createElement("canvas");
    const digit = document.createElement("b");
    const name = document.createElement("span");
    canvas.width = canvas.height = SIDE;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", item.name);
    paint(canvas, item.pixels);
    const rejected = item.rejection >= this.thresholdOf(item.version);
    tile.classList.toggle("wrong-digit", isWrong(item));
    tile.classList.toggle("rejected", rejected);
    digit.textContent = isWrong(item) ? `${item.digit}, is ${item.label}` : `${item.digit}`;
    name.textContent = rejected ? "no digit" : percent(item.confidence);
    tile.title = `${item.name}: ${item.digit}, confidence ${percent(item.confidence)}, rejection ${percent(item.rejection)}`;
    tile.append(canvas, digit, name);
    return tile;
  }
}
