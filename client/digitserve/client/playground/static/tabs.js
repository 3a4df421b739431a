// Tabs as the ARIA Authoring Practices have them: arrows move, the address remembers.

export class Tabs {
  #tabs;

  constructor(root, onShown) {
    this.#tabs = [...root.querySelectorAll("[role=tab]")];
    this.onShown = onShown;
    for (const tab of this.#tabs) {
      tab.addEventListener("click", () => this.#show(tab));
      tab.addEventListener("keydown", (event) => this.#key(event, tab));
    }
    addEventListener("hashchange", () => this.#byAddress());
    this.#byAddress();
  }

  #byAddress() {
    const tab = this.#tabs.find((each) => `#${nameOf(each)}` === location.hash);
    if (tab) this.#show(tab);
  }

  #show(shown) {
    for (const tab of this.#tabs) {
      const isShown = tab === shown;
      tab.setAttribute("aria-selected", isShown);
      tab.tabIndex = isShown ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !isShown;
    }
    history.replaceState(null, "", `#${nameOf(shown)}`);
    this.onShown(nameOf(shown));
  }

  #key(event, tab) {
    const count = this.#tabs.length;
    const at = this.#tabs.indexOf(tab) + count;
    const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: count - 1 };
    if (!(event.key in places)) return;
    const next = this.#tabs[places[event.key] % count];
    event.preventDefault();
    next.focus();
    this.#show(next);
  }
}

function nameOf(tab) {
  return tab.id.replace("tab-", "");
}
