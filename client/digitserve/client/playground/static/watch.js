// The strip: how the server does, and what changed.

import { percent } from "./bars.js";

const HEALTH = {
  SERVING: "serving",
  NOT_SERVING: "not serving",
  AWAY: "away",
  UNKNOWN: "unknown",
};
const REMEMBERED = 30;

export class Watch {
  #get;
  #state = null;
  #thresholds = new Map();

  constructor(socket, get, onBack) {
    this.#get = get;
    socket.addEventListener("watch", ({ detail }) => {
      const before = this.#state;
      this.#show(detail.said);
      this.#tellChanges(before, detail.said);
      const changed =
        before?.health !== detail.said.health || stableOf(before) !== stableOf(detail.said);
      if (detail.said.health === "SERVING" && changed) onBack();
    });
    socket.addEventListener("lost", () => this.#lost());
  }

  /** From which rejection on an image counts as no digit. */
  thresholdOf = (version) => this.#thresholds.get(version) ?? Infinity;

  #lost() {
    this.#get("health").dataset.health = "AWAY";
    this.#get("health-text").textContent = "playground away";
    this.#state = null;
  }

  #show(state) {
    const get = this.#get;
    this.#state = state;
    this.#thresholds = new Map(
      state.versions
        .filter((each) => each.threshold !== null)
        .map((each) => [each.version, each.threshold]),
    );
    get("health").dataset.health = state.health;
    get("health-text").textContent = HEALTH[state.health] ?? state.health;
    get("address").textContent = state.address;
    const stable = state.versions.find((each) => each.labels.includes("stable"));
    get("watch-version").textContent = stable ? `${stable.version}${accuracy(stable)}` : "–";
    get("watch-labels").textContent = labelsOf(state) || "–";
    get("watch-server-rate").textContent = rate(state.server_rate, "images/s");
    get("watch-rate").textContent = rate(state.rate, "answers/s");
    get("watch-latency").textContent =
      state.latency_ms === null ? "–" : `${state.latency_ms.toFixed(1)} ms`;
    get("watch-streams").textContent = state.streams;
  }

  #tellChanges(before, now) {
    if (before === null || before.health !== now.health) {
      this.#log(`${now.address} is ${HEALTH[now.health] ?? now.health}`);
    }
    if (before === null || now.health === "AWAY" || before.health === "AWAY") return;
    if (stableOf(before) !== stableOf(now))
      this.#log(`version ${stableOf(now) ?? "none"} is stable`);
    for (const version of now.versions) {
      const old = before.versions.find((each) => each.version === version.version);
      const [was, is] = [old?.labels.join(", ") ?? "", version.labels.join(", ")];
      if (old?.state !== version.state)
        this.#log(`version ${version.version}: ${version.state.toLowerCase()}`);
      if (was !== is) this.#log(`version ${version.version}: labels ${is || "none"}`);
    }
    for (const gone of before.versions) {
      if (!now.versions.some((each) => each.version === gone.version))
        this.#log(`version ${gone.version}: gone`);
    }
  }

  #log(text) {
    const list = this.#get("watch-log");
    const item = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = new Date().toTimeString().slice(0, 8);
    item.append(time, text);
    list.prepend(item);
    while (list.children.length > REMEMBERED) list.lastChild.remove();
    this.#get("watch-live").textContent = text;
  }
}

function stableOf(state) {
  return state?.versions.find((each) => each.labels.includes("stable"))?.version;
}

function labelsOf(state) {
  return state.versions
    .flatMap((each) => each.labels.map((label) => `${label} ${each.version}`))
    .join(", ");
}

function accuracy(version) {
  return version.accuracy === null ? "" : ` (${percent(version.accuracy)})`;
}

function rate(value, unit) {
  return value === null ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
