// Wires the page: one socket, the strip, and a view for each tab.

import { Camera } from "./camera.js";
import { Draw } from "./draw.js";
import { Socket } from "./socket.js";
import { Tabs } from "./tabs.js";
import { Upload } from "./upload.js";
import { Watch } from "./watch.js";

const get = (id) => document.getElementById(id);
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new Socket(`${scheme}//${location.host}/stream`);

const watch = new Watch(socket, get, () => draw.again());
const draw = new Draw(socket, get, watch.thresholdOf);
const camera = new Camera(socket, get, watch.thresholdOf);
new Upload(get, watch.thresholdOf);
new Tabs(get("views"), (view) => {
  if (view === "draw") draw.shown();
  if (view === "camera") camera.shown();
  else camera.stop();
});

function notice(text) {
  get("notice").hidden = !text;
  get("notice").textContent = text;
}

socket.addEventListener("hello", () => notice(""));
socket.addEventListener("lost", ({ detail: { message, pause } }) => {
  const again = pause ? ` Trying again in ${(pause / 1000).toFixed(2)} s.` : "";
  notice(`No connection to the playground. ${message ? `${message}.` : ""}${again}`);
});
socket.addEventListener("away", ({ detail: { said } }) => {
  notice(`The server does not answer (${said.message}). Trying again in ${said.again_in.toFixed(2)} s.`);
});
socket.addEventListener("watch", ({ detail: { said } }) => {
  if (said.health === "SERVING") notice("");
  else if (said.health === "AWAY") notice(`The server at ${said.address} does not answer. Trying again.`);
});
socket.addEventListener("failed", ({ detail: { said } }) => notice(`Failed: ${said.message}`));
