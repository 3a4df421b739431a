// The camera view: pictures go out as grey, boxes come back and are drawn over what is live.

import { Plot } from "./plot.js";
import { median, ms } from "./times.js";
import { PHOTO } from "./wire.js";

const LONGEST_SIDE = 640;
const MAX_PIXELS = 640 * 480;
const REMEMBERED = 150;
const QUIET_MS = 1500;

export class Camera {
  #socket;
  #get;
  #stream = null;
  #small = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  #skipped = { page: 0, bridge: 0, stream: 0 };
  #instants = [];
  #latencies = [];
  #times = [];
  #missing = "";
  #read = "";
  #readAt = 0;

  constructor(socket, get, thresholdOf) {
    this.#socket = socket;
    this.#get = get;
    this.thresholdOf = thresholdOf;
    this.plot = new Plot(get("camera-plot"), REMEMBERED);
    get("camera-start").addEventListener("click", () =>
      this.#stream ? this.stop() : this.#start(),
    );
    get("camera-device").addEventListener("change", () => {
      this.stop();
      this.#start();
    });
    socket.addEventListener("hello", ({ detail }) => this.#hello(detail.said));
    socket.addEventListener("picture", ({ detail }) => this.#picture(detail));
    socket.addEventListener("skipped", ({ detail }) => {
      if (detail.about?.photo) this.#skipped[detail.said.where] += 1;
    });
  }

  shown() {
    this.plot.draw(this.#latencies);
  }

  stop() {
    if (!this.#stream) return;
    for (const track of this.#stream.getTracks()) track.stop();
    this.#stream = null;
    this.#get("video").srcObject = null;
    this.#get("live").hidden = true;
    this.#get("camera-start").textContent = "Start the camera";
  }

  #hello(said) {
    this.#missing = said.camera_missing;
    this.#get("camera-start").disabled = Boolean(this.#missing);
    if (this.#missing) this.#get("camera-note").textContent = this.#missing;
  }

  async #start() {
    const video = this.#get("video");
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: this.#wanted(),
      });
      video.srcObject = this.#stream;
      await video.play();
    } catch (error) {
      this.stop();
      this.#get("camera-note").textContent =
        `No camera: ${error.message}. Browsers give one to pages on this machine and over https alone.`;
      return;
    }
    this.#skipped = { page: 0, bridge: 0, stream: 0 };
    this.#latencies = [];
    this.#instants = [];
    this.#get("live").hidden = false;
    this.#get("camera-start").textContent = "Stop the camera";
    await this.#offerDevices();
    this.#next(video);
  }

  #wanted() {
    const id = this.#get("camera-device").value;
    const device = id ? { deviceId: { exact: id } } : { facingMode: "environment" };
    return { width: { ideal: 640 }, height: { ideal: 480 }, ...device };
  }

  async #offerDevices() {
    const select = this.#get("camera-device");
    const devices = await navigator.mediaDevices.enumerateDevices();
    const cameras = devices.filter((each) => each.kind === "videoinput");
    const now = this.#stream?.getVideoTracks()[0].getSettings().deviceId;
    select.replaceChildren(
      ...cameras.map((each) => new Option(each.label, each.deviceId, false, each.deviceId === now)),
    );
    this.#get("camera-pick").hidden = cameras.length < 2;
  }

  #next(video) {
    const taken = () => {
      if (!this.#stream) return;
      this.#send(video);
      this.#next(video);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(taken);
    else setTimeout(taken, 40);
  }

  #send(video) {
    if (!video.videoWidth) return;
    if (!this.#socket.free) {
      this.#skipped.page += 1;
      return;
    }
    const sent = performance.now();
    const { videoWidth: w, videoHeight: h } = video;
    const factor = Math.min(1, LONGEST_SIDE / Math.max(w, h), Math.sqrt(MAX_PIXELS / (w * h)));
    const [width, height] = [Math.round(factor * w), Math.round(factor * h)];
    if (this.#small.canvas.width !== width || this.#small.canvas.height !== height) {
      Object.assign(this.#small.canvas, { width, height });
    }
    this.#small.drawImage(video, 0, 0, width, height);
    const { data } = this.#small.getImageData(0, 0, width, height);
    const about = { photo: true, sent, width, height };
    this.#socket.send(PHOTO, 0, width, height, grey(data), about);
  }

  #picture({ said, about, received }) {
    if (!this.#stream || !about) return;
    this.#instants.push(received);
    while (this.#instants[0] < received - 2000) this.#instants.shift();
    this.#latencies.push(received - about.sent);
    if (this.#latencies.length > REMEMBERED) this.#latencies.shift();
    this.#times.push(said.times);
    if (this.#times.length > REMEMBERED) this.#times.shift();
    this.#overlay(said.digits, about);
    this.#figures(said);
    this.plot.draw(this.#latencies);
    document.dispatchEvent(new CustomEvent("digitserve:picture", { detail: { said } }));
  }

  #overlay(digits, { width, height }) {
    const canvas = this.#get("boxes");
    const box = canvas.getBoundingClientRect();
    const scale = devicePixelRatio;
    canvas.width = Math.round(box.width * scale);
    canvas.height = Math.round(box.height * scale);
    const context = canvas.getContext("2d");
    context.scale(canvas.width / width, canvas.height / height);
    const letters = Math.max(width / 36, (15 * width) / box.width); // 15 pixels of the page, at least
    context.font = `bold ${letters}px system-ui, sans-serif`;
    context.lineWidth = width / 320;
    for (const digit of digits) this.#box(context, digit);
  }

  #box(context, digit) {
    const [x, y, width, height] = digit.box;
    const rejected = digit.rejection >= this.thresholdOf(digit.version);
    const colour = rejected ? "#c9ced6" : "#ffd23f";
    const text = rejected ? "?" : `${digit.digit}`;
    context.strokeStyle = colour;
    context.strokeRect(x - 3, y - 3, width + 6, height + 6);
    const wide = context.measureText(text).width + 8;
    const high = parseInt(context.font.match(/(\d+)(\.\d+)?px/)[1], 10) + 4;
    const top = y - 3 - high < 0 ? y + height + 3 : y - 3 - high;
    context.fillStyle = colour;
    context.fillRect(x - 4, top, wide, high);
    context.fillStyle = "#12161c";
    context.fillText(text, x, top + high - 5);
  }

  #figures(said) {
    const get = this.#get;
    const read = said.digits
      .filter((each) => !(each.rejection >= this.thresholdOf(each.version)))
      .map((each) => each.digit)
      .join("");
    get("camera-digits").textContent = read || "–";
    this.#readOut(read);
    const took = (this.#instants.at(-1) - this.#instants[0]) / 1000;
    get("camera-rate").textContent = took ? ((this.#instants.length - 1) / took).toFixed(1) : "–";
    const { page, bridge, stream } = this.#skipped;
    get("camera-skipped").textContent = `${page + bridge + stream}`;
    get("camera-where").textContent =
      `Skipped for newer ones: ${page} in the page, ${bridge} in the bridge, ${stream} in the stream.`;
    get("camera-latency").textContent = ms(median(this.#latencies));
    for (const part of ["finder", "server", "model"]) {
      const values = this.#times
        .map((each) => each[`${part}_ms`])
        .filter((each) => each !== undefined);
      get(`camera-${part}`).textContent = values.length ? ms(median(values)) : "–";
    }
  }

  #readOut(read) {
    const now = performance.now();
    if (read === this.#read || now - this.#readAt < QUIET_MS) return;
    this.#read = read;
    this.#readAt = now;
    this.#get("camera-live").textContent = read ? [...read].join(" ") : "no digit";
  }
}

function grey(rgba) {
  const out = new Uint8Array(rgba.length / 4);
  for (let at = 0; at < out.length; at += 1) {
    const from = 4 * at;
    out[at] = (77 * rgba[from] + 150 * rgba[from + 1] + 29 * rgba[from + 2]) >> 8;
  }
  return out;
}
