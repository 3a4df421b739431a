// Streams that resume: every frame gets its outcome, however many streams that takes.

import { setTimeout as sleep } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { within } from "./connect.js";
import type {
  DigitServiceClient,
  Frame,
  Notice_Reason,
  StreamPredictResponse,
} from "./gen/digitserve/v1/digits.js";
import { ErrorInfo } from "./gen/google/rpc/error_details.js";
import type { Status } from "./gen/google/rpc/status.js";

const MOST_STREAMS = 20;
const PAUSE_MS = 100;

export class Resuming {
  /** How many were opened. */
  streams = 0;
  /** Why the server wanted them ended. */
  readonly notices: Notice_Reason[] = [];

  /**
   * @param servers are asked in turn
   * @param inFlight frames that are written and have no outcome yet, at most
   * @param timeoutMs of each stream
   */
  constructor(
    private readonly servers: DigitServiceClient[],
    private readonly inFlight = 16,
    private readonly timeoutMs = 60_000,
  ) {}

  /** Gives one response for each frame. Throws the ServiceError that cannot be resumed. */
  async *outcomes(frames: Frame[]): AsyncGenerator<StreamPredictResponse, void> {
    let left = frames;
    while (left.length > 0) {
      if (this.streams === MOST_STREAMS) {
        throw new Error(`${left.length} frames have no outcome after ${this.streams} streams`);
      }
      const server = this.servers[this.streams++ % this.servers.length]!;
      left = yield* this.oneStream(server, left);
    }
  }

  /** Returns the frames that got no outcome of their own. */
  private async *oneStream(
    server: DigitServiceClient,
    frames: Frame[],
  ): AsyncGenerator<StreamPredictResponse, Frame[]> {
    const unanswered = new Map(frames.entries()); // by sequence
    const call = server.streamPredict(...within(this.timeoutMs));
    call.on("error", () => {}); // also one that comes when nobody reads any more
    let written = 0;
    let over = false;
    const write = (room: number): void => {
      for (; room > 0 && written < frames.length; room--) {
        call.write({ options: undefined, frame: frames[written++] });
      }
    };
    const halfClose = (): void => {
      over = true;
      call.end();
    };
    try {
      write(this.inFlight);
      for await (const response of call as AsyncIterable<StreamPredictResponse>) {
        const { outcome, sequence } = response;
        if (outcome?.$case === "notice") {
          this.notices.push(outcome.value.reason);
          halfClose();
        } else if (outcome?.$case !== "failed" || reasonOf(outcome.value) !== "DRAINING") {
          unanswered.delete(Number(sequence));
          if (!over) write(1);
          yield response;
        }
        if (!over && unanswered.size === 0) halfClose();
      }
    } catch (error) {
      if ((error as { code?: unknown }).code !== status.UNAVAILABLE) throw error;
      await sleep(PAUSE_MS);
    } finally {
      call.cancel();
    }
    return [...unanswered.values()];
  }
}

/** The stable reason of a failure; empty if there is none. */
export function reasonOf(failed: Status): string {
  const info = failed.details.find((detail) => detail.typeUrl.endsWith("/google.rpc.ErrorInfo"));
  return info ? ErrorInfo.decode(info.value).reason : "";
}
