// How an outcome is written.

import type { ServiceError } from "@grpc/grpc-js";
import type { PredictResponse, StreamPredictResponse } from "../gen/digitserve/v1/digits.js";
import type { GetLimitsResponse, ListVersionsResponse } from "../gen/digitserve/v1/models.js";
import type { Any } from "../gen/google/protobuf/any.js";
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from "../gen/google/rpc/error_details.js";
import { Status } from "../gen/google/rpc/status.js";

export type Outcome = Record<string, unknown>;

/** A float32, as the bits that it is. */
function bits(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return bytes.toString("hex");
}

/** A double, likewise. */
function doubleBits(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes.toString("hex");
}

export function predicted(response: PredictResponse): Outcome {
  return {
    model_version: response.modelVersion,
    predictions: response.predictions.map((each) => ({
      digit: each.digit,
      confidence: bits(each.confidence),
      probabilities: each.probabilities.map(bits),
      rejection: each.rejection === undefined ? undefined : bits(each.rejection),
    })),
  };
}

export function responseOf({ sequence, frameId, outcome }: StreamPredictResponse): Outcome {
  const said = { sequence, frame_id: frameId };
  switch (outcome?.$case) {
    case "predicted":
      return { ...said, predicted: predicted(outcome.value) };
    case "failed":
      return { ...said, failed: statusOf(outcome.value) };
    case "skipped":
      return { ...said, skipped: outcome.value.reason };
    case "notice":
      return {
        ...said,
        notice: { reason: outcome.value.reason, accepted: outcome.value.accepted },
      };
    default:
      return said;
  }
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error;
}

/** How a call ended. */
export function statusOfCall({ code, details, metadata }: ServiceError): Outcome {
  const [whole] = metadata.get("grpc-status-details-bin");
  return whole instanceof Buffer ? statusOf(Status.decode(whole)) : { code, message: details };
}

function statusOf({ code, message, details }: Status): Outcome {
  return Object.assign({ code, message }, ...details.map(detailOf));
}

function detailOf({ typeUrl, value }: Any): Outcome {
  switch (typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) {
    case "google.rpc.ErrorInfo": {
      const { reason, domain } = ErrorInfo.decode(value);
      return { reason, domain };
    }
    case "google.rpc.BadRequest": {
      const { fieldViolations } = BadRequest.decode(value);
      return {
        violations: fieldViolations.map(({ field, description }) => ({ field, description })),
      };
    }
    case "google.rpc.ResourceInfo": {
      const { resourceType, resourceName } = ResourceInfo.decode(value);
      return { resource_type: resourceType, resource_name: resourceName };
    }
    case "google.rpc.RetryInfo": {
      const { seconds = 0n, nanos = 0 } = RetryInfo.decode(value).retryDelay ?? {};
      return { retry_ms: Number(seconds) * 1000 + Math.floor(nanos / 1_000_000) };
    }
    default:
      return {};
  }
}

export function limits(response: GetLimitsResponse): Outcome {
  return {
    max_images: response.maxImages,
    max_message_bytes: response.maxMessageBytes,
    encodings: response.encodings,
    deliveries: response.deliveries,
    max_in_flight_frames: response.maxInFlightFrames,
    max_in_flight_images: response.maxInFlightImages,
    max_frame_id_bytes: response.maxFrameIdBytes,
  };
}

export function versions(response: ListVersionsResponse): Outcome[] {
  return response.versions.map((each) => ({
    version: each.version,
    state: each.state,
    labels: each.labels,
    accuracy: each.accuracy === undefined ? undefined : doubleBits(each.accuracy),
    description: each.description,
    engine: each.engine,
  }));
}
