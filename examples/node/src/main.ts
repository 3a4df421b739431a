// Reads 28x28 grey images: `predict FILE` or `stream FILE [FRAMES]`.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { status } from "@grpc/grpc-js";
import { answer, connect, within } from "./connect.js";
import {
  DigitServiceClient,
  Frame,
  PredictRequest,
  type PredictResponse,
} from "./gen/digitserve/v1/digits.js";
import { Resuming } from "./resume.js";

const PIXELS = 28 * 28;
const USAGE = "expected [--address A] [--ca FILE] [--token TOKEN] predict|stream FILE [FRAMES]";

/** Asks about one image, with a deadline. */
async function predict(client: DigitServiceClient, pixels: Buffer): Promise<void> {
  const request = PredictRequest.fromPartial({ pixels });
  const response = await answer<PredictResponse>((done) =>
    client.predict(request, ...within(5_000), done),
  );
  const [first] = response.predictions;
  console.log(`${first?.digit} ${first?.confidence.toFixed(3)} (version ${response.modelVersion})`);
}

/** Sends numbered frames; every seventh is malformed and fails alone. */
async function stream(client: DigitServiceClient, pixels: Buffer, count: number): Promise<void> {
  const frames = Array.from({ length: count }, (_, number) =>
    Frame.fromPartial({
      frameId: String(number),
      pixels: number % 7 === 6 ? pixels.subarray(0, PIXELS / 2) : pixels,
    }),
  );
  for await (const { frameId, outcome } of new Resuming([client]).outcomes(frames)) {
    if (outcome?.$case === "predicted") {
      console.log(`${frameId}: ${outcome.value.predictions[0]?.digit}`);
    } else if (outcome?.$case === "failed") {
      console.log(`${frameId}: ${outcome.value.message}`);
    }
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      address: { type: "string", default: "127.0.0.1:50051" },
      ca: { type: "string" },
      token: { type: "string" },
    },
  });
  const [call, file, frames = "20"] = positionals;
  if ((call !== "predict" && call !== "stream") || !file || !/^\d+$/.test(frames)) {
    throw new Error(USAGE);
  }
  // A binary PGM ends with its pixels; so do 784 raw bytes.
  const pixels = readFileSync(file).subarray(-PIXELS);
  const client = connect(DigitServiceClient, values.address, values);
  try {
    await (call === "predict" ? predict(client, pixels) : stream(client, pixels, Number(frames)));
  } finally {
    client.close();
  }
}

main().catch((error) => {
  const said = "details" in error ? `${status[error.code]}: ${error.details}` : error.message;
  console.error(`digits: ${said}`);
  process.exitCode = 1;
});
