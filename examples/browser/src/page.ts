// Asks a server on another origin what the images in `digits.bin` are: 28x28 bytes each, one after
// the other, 0 = paper, 255 = ink.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { DigitService } from "./gen/digitserve/v1/digits_pb.js";

const IMAGE_BYTES = 28 * 28;

const server = new URLSearchParams(location.search).get("server") ?? "http://127.0.0.1:8080";
const client = createClient(DigitService, createGrpcWebTransport({ baseUrl: server }));

async function read(pixels: Uint8Array<ArrayBuffer>): Promise<number[]> {
  const count = pixels.length / IMAGE_BYTES;
  const response = await client.predict({ pixels, count }, { timeoutMs: 5000 });
  return response.predictions.map((each) => each.digit);
}

// What a server says of a call that is wrong reaches the page with its code and its words.
async function refusal(): Promise<string> {
  try {
    await client.predict({ pixels: new Uint8Array(3) });
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return `${Code[code]}: ${rawMessage}`;
  }
  return "not refused";
}

async function show(): Promise<void> {
  const images = await (await fetch("digits.bin")).arrayBuffer();
  const digits = await read(new Uint8Array(images));
  document.querySelector("output")!.textContent = digits.join(" ");
  document.title = await refusal();
}

show().catch((error: unknown) => {
  document.querySelector("output")!.textContent = String(error);
});
