// The confusion matrix: a row for each true digit, a column for what was read.

const DIGITS = Array.from({ length: 10 }, (_, digit) => digit);

export class Matrix {
  #get;

  constructor(get, onChosen) {
    this.#get = get;
    this.onChosen = onChosen;
    get("unfilter").addEventListener("click", () => this.#press(null));
  }

  show(labelled) {
    this.#get("upload-matrix-card").hidden = !labelled.length;
    const counts = DIGITS.map(() => DIGITS.map(() => 0));
    for (const item of labelled) counts[item.label][item.digit] += 1;
    const head = row([cell("td", ""), ...DIGITS.map((digit) => heading(digit, "col"))]);
    const rows = counts.map((line, label) =>
      row([
        heading(label, "row"),
        ...line.map((count, digit) => this.#cell(count, line, label, digit)),
      ]),
    );
    this.#get("matrix").replaceChildren(head, ...rows);
  }

  #cell(count, line, label, digit) {
    const made = cell("td", "");
    if (!count) return made;
    const button = document.createElement("button");
    const total = line.reduce((sum, each) => sum + each, 0);
    made.className = label === digit ? "right" : "wrong-digit";
    // A few mistakes among thousands are to be seen as well.
    made.style.setProperty(
      "--share",
      label === digit ? (0.6 * count) / total : 0.25 + (0.75 * count) / total,
    );
    button.textContent = count;
    button.setAttribute("aria-label", `${count} of ${label} read as ${digit}`);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      this.#press(button);
      this.onChosen({ label, digit });
    });
    made.append(button);
    return made;
  }

  #press(pressed) {
    for (const button of this.#get("matrix").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", button === pressed);
    }
  }
}

function row(cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function cell(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

function heading(text, scope) {
  const made = cell("th", text);
  made.scope = scope;
  return made;
}
