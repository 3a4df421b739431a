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

// One notice at a time; it goes when what it is about is over: "connection", "server" or "failure".
let about = "";

function notice(subject, text) {
  about = subject;
  get("notice").hidden = false;
  get("notice").textContent = text;
}

function over(...subjects) {
  if (subjects.includes(about)) get("notice").hidden = true;
}

socket.addEventListener("hello", () => over("connection", "server", "failure"));
for (const kind of ["answer", "picture"]) socket.addEventListener(kind, () => over("failure"));
socket.addEventListener("lost", ({ detail: { message, pause } }) => {
  const again = pause ? ` Trying again in ${(pause / 1000).toFixed(2)} s.` : "";
  notice("connection", `No connection to the playground. ${message ? `${message}.` : ""}${again}`);
});
socket.addEventListener("away", ({ detail: { said } }) => {
  const again = `Trying again in ${said.again_in.toFixed(2)} s.`;
  notice("server", `The server does not answer (${said.message}). ${again}`);
});
socket.addEventListener("watch", ({ detail: { said } }) => {
  if (said.health === "SERVING") over("server");
  else if (said.health === "AWAY") {
    notice("server", `The server at ${said.address} does not answer. Trying again.`);
  }
});
socket.addEventListener("failed", ({ detail: { said } }) =>
  notice("failure", `Failed: ${said.message}`),
);
