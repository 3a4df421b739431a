// The conformance driver: does what the cases say and prints what came of it.
//
// ../../../conformance/README.md says what the cases mean and how an outcome is written.

import { readFileSync } from "node:fs";
import { answer, connect, within } from "../connect.js";
import {
  DigitServiceClient,
  PredictRequest,
  type PredictResponse,
} from "../gen/digitserve/v1/digits.js";
import { Doing, type Servers } from "./cases.js";
import type { Case } from "./messages.js";
import type { Outcome } from "./outcomes.js";

const WARM_UP = 200;

type Part = { hex: string; times?: number };

/** Does every case. */
async function run(casesFile: string, serversFile: string): Promise<Outcome> {
  const file: { cases: Case[]; pixels: Record<string, Part> } = read(casesFile);
  const servers: Servers = read(serversFile);
  const parts = new Map<string, Buffer>();
  for (const [name, { hex, times = 1 }] of Object.entries(file.pixels)) {
    const once = Buffer.from(hex, "hex");
    parts.set(name, Buffer.alloc(once.length * times, once));
  }
  const outcomes: Outcome = {};
  for (const each of file.cases) {
    outcomes[each.name] = await new Doing(each, parts, servers).run();
  }
  return outcomes;
}

function read<Content>(name: string): Content {
  return JSON.parse(readFileSync(name, "utf8"));
}

/** Times Predicts, one after the other. */
async function latency(address: string, calls: number): Promise<Outcome> {
  const client = connect(DigitServiceClient, address);
  const request = PredictRequest.fromPartial({
    pixels: Buffer.from(Array.from({ length: 784 }, (_, at) => at % 256)),
  });
  const times: number[] = [];
  for (let call = 0; call < WARM_UP + calls; call++) {
    const start = performance.now();
    await answer<PredictResponse>((done) => client.predict(request, ...within(5_000), done));
    times.push((performance.now() - start) * 1000);
  }
  client.close();
  const sorted = times.slice(WARM_UP).sort((one, other) => one - other);
  const percentile = (share: number) => Math.round(sorted[Math.floor(calls * share)]!);
  return { calls, p50_us: percentile(0.5), p99_us: percentile(0.99) };
}

/** JSON has one kind of number; one that it cannot hold is not to be printed wrong. */
function plain(_: string, value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  if (value > Number.MAX_SAFE_INTEGER) throw new Error(`${value} is too large for JSON`);
  return Number(value);
}

const [what, first, second] = process.argv.slice(2);
try {
  if (!first || !second) throw new Error("expected `run CASES SERVERS` or `latency ADDRESS CALLS`");
  const said = await (what === "latency" ? latency(first, Number(second)) : run(first, second));
  console.log(JSON.stringify(said, plain));
} catch (error) {
  console.error(`driver: ${error}`);
  process.exitCode = 1;
}
