// How a case is done.

import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { answer, connect, within } from "../connect.js";
import {
  DigitServiceClient,
  Frame,
  PredictRequest,
  type PredictResponse,
  type StreamPredictResponse,
} from "../gen/digitserve/v1/digits.js";
import {
  ModelServiceClient,
  type GetLimitsResponse,
  type ListVersionsResponse,
} from "../gen/digitserve/v1/models.js";
import { Resuming } from "../resume.js";
import { messageOf, modelOf, type Case, type Item, type Request } from "./messages.js";
import {
  isServiceError,
  limits,
  predicted,
  responseOf,
  statusOfCall,
  versions,
  type Outcome,
} from "./outcomes.js";

export type Servers = Record<string, { address: string; ca?: string }>;

/** One case being done. */
export class Doing {
  private readonly outcome: Outcome = { code: 0 };
  private readonly digits: DigitServiceClient[];
  private readonly models: ModelServiceClient;
  private readonly timeoutMs: number;

  constructor(
    private readonly asked: Case,
    private readonly parts: Map<string, Buffer>,
    servers: Servers,
  ) {
    const where = asked.servers.map((name) => servers[name]!);
    const reach = ({ ca }: { ca?: string }) => ({ ca, token: asked.token });
    this.digits = where.map((each) => connect(DigitServiceClient, each.address, reach(each)));
    this.models = connect(ModelServiceClient, where[0]!.address, reach(where[0]!));
    this.timeoutMs = asked.timeout_ms ?? 20_000;
  }

  /** Does it; an error of a call is an outcome as well. */
  async run(): Promise<Outcome> {
    const start = performance.now();
    try {
      await this.call();
    } catch (error) {
      if (!isServiceError(error)) throw error;
      Object.assign(this.outcome, statusOfCall(error));
    }
    this.outcome.elapsed_ms = Math.round(performance.now() - start);
    for (const client of [...this.digits, this.models]) client.close();
    return this.outcome;
  }

  private call(): Promise<void> {
    const { send = [], frames = 0, in_flight = 1, pixels = [], request = {} } = this.asked;
    switch (this.asked.call) {
      case "Predict":
        return this.predict(request);
      case "StreamPredict":
        return this.stream(send);
      case "Resume":
        return this.resume(frames, in_flight, pixels);
      case "GetLimits":
        return this.limits();
      case "ListVersions":
        return this.versions();
      case "Raw":
        return this.raw(request);
    }
  }

  private pixels(names: string[] = []): Buffer {
    return Buffer.concat(names.map((name) => this.parts.get(name)!));
  }

  private async predict({ pixels, version, label, ...fields }: Request): Promise<void> {
    const message = PredictRequest.fromPartial({
      ...fields,
      pixels: this.pixels(pixels),
      model: modelOf({ version, label }),
    });
    const response = await answer<PredictResponse>((done) =>
      this.digits[0]!.predict(message, ...within(this.timeoutMs), done),
    );
    this.outcome.predicted = predicted(response);
  }

  /** Sends bytes as they are. */
  private async raw({ method = "", hex = "" }: Request): Promise<void> {
    const asItIs = (bytes: Buffer) => bytes;
    const bytes = Buffer.from(hex, "hex");
    await answer<Buffer>((done) =>
      this.digits[0]!.makeUnaryRequest(
        method,
        asItIs,
        asItIs,
        bytes,
        ...within(this.timeoutMs),
        done,
      ),
    );
  }

  private async limits(): Promise<void> {
    const response = await answer<GetLimitsResponse>((done) =>
      this.models.getLimits({}, ...within(this.timeoutMs), done),
    );
    this.outcome.limits = limits(response);
  }

  private async versions(): Promise<void> {
    const response = await answer<ListVersionsResponse>((done) =>
      this.models.listVersions({}, ...within(this.timeoutMs), done),
    );
    this.outcome.versions = versions(response);
  }

  private async stream(items: Item[]): Promise<void> {
    const call = this.digits[0]!.streamPredict(...within(this.timeoutMs));
    const responses: Outcome[] = [];
    this.outcome.responses = responses;
    const heard = new EventEmitter();
    const reading = (async () => {
      for await (const response of call as AsyncIterable<StreamPredictResponse>) {
        responses.push(responseOf(response));
        heard.emit("response");
      }
    })();
    const writing = (async () => {
      for (const item of items) {
        const message = messageOf(item, this.pixels(item.frame?.pixels));
        if (item.pause_ms) await sleep(item.pause_ms);
        for (let time = 0; time < (item.times ?? 1); time++) {
          call.write(message);
          if (this.asked.lockstep && item.frame) {
            await Promise.race([once(heard, "response"), reading]);
          }
        }
      }
      call.end();
    })();
    await Promise.all([reading, writing]);
  }

  private async resume(count: number, inFlight: number, pixels: string[][]): Promise<void> {
    const resuming = new Resuming(this.digits, inFlight, this.timeoutMs);
    const frames = Array.from({ length: count }, (_, at) =>
      Frame.fromPartial({
        frameId: `frame-${at}`,
        pixels: this.pixels(pixels[at % pixels.length]),
      }),
    );
    const outcomes: Outcome[] = [];
    this.outcome.outcomes = outcomes;
    try {
      for await (const response of resuming.outcomes(frames)) {
        const { sequence, ...said } = responseOf(response);
        outcomes.push(said);
      }
    } finally {
      Object.assign(this.outcome, { streams: resuming.streams, notices: resuming.notices });
    }
  }
}
