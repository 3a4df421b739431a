// Ten live bars.  Only `transform` and text change, so that an answer costs no layout.

export class Bars {
  #rows;

  constructor(list) {
    this.#rows = Array.from({ length: 10 }, (_, digit) => row(list, digit));
  }

  show(probabilities) {
    const best = probabilities.indexOf(Math.max(...probabilities));
    this.#rows.forEach(({ item, fill, share }, digit) => {
      fill.style.setProperty("--share", probabilities[digit]); // its scale
      share.textContent = percent(probabilities[digit], 0);
      item.classList.toggle("best", digit === best);
    });
  }

  clear() {
    for (const { item, fill, share } of this.#rows) {
      fill.style.setProperty("--share", 0);
      share.textContent = "";
      item.classList.remove("best");
    }
  }
}

export function percent(share, places = 1) {
  return `${(100 * share).toFixed(places)}\u00a0%`;
}

function row(list, digit) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const track = document.createElement("span");
  const fill = document.createElement("span");
  const share = document.createElement("span");
  name.textContent = digit;
  track.className = "track";
  fill.className = "fill";
  share.className = "share";
  name.className = "name";
  track.append(fill);
  item.append(name, track, share);
  list.append(item);
  return { item, fill, share };
}
