package io.github.digitserve.example;

import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelRegistry;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;

/** Opens channels to a digitserve server. */
public final class Connection {
  /** {@code grpc-retry-pushback-ms} says when a full queue is worth another try; gRPC heeds it. */
  private static final Map<String, Object> RETRY =
      Map.of(
          "methodConfig",
          List.of(
              Map.of(
                  "name",
                  List.of(Map.of("service", "digitserve.v1.DigitService", "method", "Predict")),
                  "retryPolicy",
                  Map.of(
                      "maxAttempts", 4.0, // a number of JSON
                      "initialBackoff", "0.1s",
                      "maxBackoff", "2s",
                      "backoffMultiplier", 2.0,
                      "retryableStatusCodes", List.of("UNAVAILABLE", "RESOURCE_EXHAUSTED")))));

  private Connection() {}

  /**
   * Opens a channel: in plain text, or over TLS with a bearer token for each call.
   *
   * @param ca a PEM file: trust this alone; null: plain text
   * @param token null: none
   * @throws IOException if {@code ca} cannot be read, or holds no certificate
   */
  public static ManagedChannel connect(String address, File ca, String token) throws IOException {
    if (ca == null && token != null) {
      throw new IllegalArgumentException("a token is sent over TLS only");
    }
    ChannelCredentials credentials =
        ca == null
            ? InsecureChannelCredentials.create()
            : TlsChannelCredentials.newBuilder().trustManager(ca).build();
    if (token != null) {
      credentials = CompositeChannelCredentials.create(credentials, new Bearer(token));
    }
    try {
      return Grpc.newChannelBuilder(address, credentials)
          .defaultServiceConfig(RETRY)
          .maxInboundMessageSize(Integer.MAX_VALUE)
          .build();
    } catch (ManagedChannelRegistry.ProviderNotFoundException error) {
      throw new IOException(ca == null ? error.getMessage() : ca + " holds no certificate", error);
    }
  }

  private static final class Bearer extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final Metadata headers = new Metadata();

    Bearer(String token) {
      headers.put(AUTHORIZATION, "Bearer " + token);
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      applier.apply(headers);
    }
  }
}
