// What a case says, and the messages that it means.

import {
  Frame,
  StreamOptions,
  StreamPredictRequest,
  type PredictRequest,
} from "../gen/digitserve/v1/digits.js";

type Model = { version?: number; label?: string };

export type Item = {
  options?: Model & {
    encoding?: number;
    detail?: number;
    delivery?: number;
    max_in_flight_frames?: number;
    max_in_flight_images?: number;
    max_age_ms?: number;
  };
  frame?: {
    frame_id?: string;
    pixels?: string[];
    count?: number;
    age_us?: number;
    timeout_us?: number;
  };
  times?: number;
  pause_ms?: number;
};

export type Request = Model & {
  pixels?: string[];
  count?: number;
  encoding?: number;
  detail?: number;
  method?: string;
  hex?: string;
};

export type Case = {
  name: string;
  call: "Predict" | "StreamPredict" | "Resume" | "GetLimits" | "ListVersions" | "Raw";
  servers: string[];
  timeout_ms?: number;
  token?: string;
  request?: Request;
  send?: Item[];
  lockstep?: boolean;
  frames?: number;
  in_flight?: number;
  pixels?: string[][];
};

/** A message of a stream. */
export function messageOf({ options, frame }: Item, pixels: Buffer): StreamPredictRequest {
  return {
    options: options && optionsOf(options),
    frame:
      frame &&
      Frame.fromPartial({
        frameId: frame.frame_id,
        pixels,
        count: frame.count,
        ageUs: BigInt(frame.age_us ?? 0),
        timeoutUs: BigInt(frame.timeout_us ?? 0),
      }),
  };
}

function optionsOf({ version, label, ...options }: NonNullable<Item["options"]>): StreamOptions {
  const { max_age_ms: age } = options;
  return StreamOptions.fromPartial({
    encoding: options.encoding,
    detail: options.detail,
    delivery: options.delivery,
    model: modelOf({ version, label }),
    maxInFlightFrames: options.max_in_flight_frames,
    maxInFlightImages: options.max_in_flight_images,
    maxAge:
      age === undefined
        ? undefined
        : { seconds: BigInt(Math.floor(age / 1000)), nanos: (age % 1000) * 1_000_000 },
  });
}

export function modelOf({ version, label }: Model): PredictRequest["model"] {
  if (version !== undefined) return { $case: "version", value: BigInt(version) };
  return label === undefined ? undefined : { $case: "label", value: label };
}
