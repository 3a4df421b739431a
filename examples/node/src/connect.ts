// A connection to a digitserve server: TLS, token, retries.

import { readFileSync } from "node:fs";
import {
  credentials,
  Metadata,
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  type ServiceError,
} from "@grpc/grpc-js";

// The server says in `grpc-retry-pushback-ms` when a full queue is worth another try, and grpc-js
// heeds it.
const RETRY = {
  methodConfig: [
    {
      name: [{ service: "digitserve.v1.DigitService", method: "Predict" }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
      },
    },
  ],
};

const OPTIONS: ChannelOptions = {
  "grpc.service_config": JSON.stringify(RETRY),
  "grpc.max_receive_message_length": -1,
};

type Client<Service> = new (
  address: string,
  credentials: ChannelCredentials,
  options: ChannelOptions,
) => Service;

/** A client of a service: in plain text, or over TLS that trusts the PEM file `ca` alone. */
export function connect<Service>(
  client: Client<Service>,
  address: string,
  { ca, token }: { ca?: string | undefined; token?: string | undefined } = {},
): Service {
  if (ca === undefined) {
    if (token !== undefined) throw new Error("a token is sent over TLS only");
    return new client(address, credentials.createInsecure(), OPTIONS);
  }
  const tls = credentials.createSsl(readFileSync(ca));
  return new client(address, token === undefined ? tls : withToken(tls, token), OPTIONS);
}

function withToken(tls: ChannelCredentials, token: string): ChannelCredentials {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const bearer = credentials.createFromMetadataGenerator((_, done) => done(null, metadata));
  return credentials.combineChannelCredentials(tls, bearer);
}

/** What a call takes besides its request: a deadline, so many milliseconds away. */
export function within(milliseconds: number): [Metadata, Partial<CallOptions>] {
  return [new Metadata(), { deadline: Date.now() + milliseconds }];
}

type Callback<Response> = (error: ServiceError | null, response?: Response) => void;

/** The response to a unary call; rejects with a ServiceError. */
export function answer<Response>(call: (done: Callback<Response>) => void): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error ? reject(error) : resolve(response as Response)));
  });
}
