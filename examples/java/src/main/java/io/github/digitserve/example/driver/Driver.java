package io.github.digitserve.example.driver;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.FieldNamingPolicy;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.reflect.TypeToken;
import com.google.protobuf.ByteString;
import io.github.digitserve.example.Connection;
import io.github.digitserve.v1.DigitServiceGrpc;
import io.github.digitserve.v1.PredictRequest;
import io.grpc.ManagedChannel;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Does what the conformance cases say and prints what came of it.
 *
 * <p>{@code ../conformance/README.md} says what the cases mean and how an outcome is written.
 */
final class Driver {
  private static final int WARM_UP = 200;
  private static final Gson JSON =
      new GsonBuilder()
          .setFieldNamingPolicy(FieldNamingPolicy.LOWER_CASE_WITH_UNDERSCORES)
          .create();

  private Driver() {}

  public static void main(String[] arguments) throws IOException, InterruptedException {
    if (arguments.length != 3) {
      System.err.println("driver: expected `run CASES SERVERS` or `latency ADDRESS CALLS`");
      System.exit(1);
    }
    Map<String, Object> said =
        arguments[0].equals("latency")
            ? latency(arguments[1], Integer.parseInt(arguments[2]))
            : run(Path.of(arguments[1]), Path.of(arguments[2]));
    System.out.writeBytes(JSON.toJson(said).getBytes(UTF_8)); // whatever the locale
    System.out.println();
  }

  private static Map<String, Object> run(Path cases, Path servers)
      throws IOException, InterruptedException {
    CaseFile file = JSON.fromJson(Files.readString(cases), CaseFile.class);
    Map<String, CaseFile.Server> known =
        JSON.fromJson(Files.readString(servers), new TypeToken<>() {});
    Map<String, Object> outcomes = new LinkedHashMap<>();
    for (CaseFile.Case each : file.cases()) {
      List<ManagedChannel> channels = new ArrayList<>();
      for (String name : each.servers()) {
        CaseFile.Server server = known.get(name);
        File ca = server.ca() == null ? null : new File(server.ca());
        channels.add(Connection.connect(server.address(), ca, each.token()));
      }
      outcomes.put(each.name(), new Doing(file, each, channels).run());
      channels.forEach(ManagedChannel::shutdownNow);
    }
    return outcomes;
  }

  /** Times Predicts, one after the other. */
  private static Map<String, Object> latency(String address, int calls) throws IOException {
    ManagedChannel channel = Connection.connect(address, null, null);
    var stub = DigitServiceGrpc.newBlockingStub(channel);
    byte[] pixels = new byte[784];
    for (int at = 0; at < pixels.length; at++) {
      pixels[at] = (byte) at;
    }
    PredictRequest request =
        PredictRequest.newBuilder().setPixels(ByteString.copyFrom(pixels)).build();
    long[] times = new long[WARM_UP + calls];
    for (int call = 0; call < times.length; call++) {
      long start = System.nanoTime();
      stub.withDeadlineAfter(Duration.ofSeconds(5)).predict(request);
      times[call] = (System.nanoTime() - start) / 1000;
    }
    channel.shutdownNow();
    long[] counted = Arrays.copyOfRange(times, WARM_UP, times.length);
    Arrays.sort(counted);
    return Map.of(
        "calls", calls, "p50_us", counted[calls / 2], "p99_us", counted[calls * 99 / 100]);
  }
}
