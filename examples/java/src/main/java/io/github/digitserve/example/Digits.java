package io.github.digitserve.example;

import com.google.protobuf.ByteString;
import io.github.digitserve.v1.DigitServiceGrpc;
import io.github.digitserve.v1.Frame;
import io.github.digitserve.v1.PredictRequest;
import io.github.digitserve.v1.PredictResponse;
import io.github.digitserve.v1.Prediction;
import io.github.digitserve.v1.StreamPredictResponse;
import io.grpc.Channel;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Reads 28x28 grey images. */
public final class Digits {
  private static final int PIXELS = 28 * 28;
  private static final Set<String> OPTIONS = Set.of("--address", "--ca", "--token");
  private static final String USAGE =
      "expected [--address HOST:PORT] [--ca FILE] [--token TOKEN]"
          + " predict FILE | stream FILE [FRAMES]";

  private Digits() {}

  /** Reads the command line. */
  public static void main(String[] arguments) throws InterruptedException {
    try {
      run(new ArrayDeque<>(List.of(arguments)));
    } catch (StatusRuntimeException error) {
      fail(error.getStatus().getCode() + ": " + error.getStatus().getDescription());
    } catch (NumberFormatException error) {
      fail(USAGE);
    } catch (IOException | IllegalArgumentException | IllegalStateException error) {
      fail(error.getMessage());
    }
  }

  private static void fail(String message) {
    System.err.println("digits: " + message);
    System.exit(1);
  }

  private static void run(Deque<String> arguments) throws IOException, InterruptedException {
    Map<String, String> options = new HashMap<>(Map.of("--address", "127.0.0.1:50051"));
    while (arguments.size() > 1 && OPTIONS.contains(arguments.peek())) {
      options.put(arguments.pop(), arguments.pop());
    }
    if (arguments.size() < 2 || arguments.size() > 3) {
      throw new IllegalArgumentException(USAGE);
    }
    String call = arguments.pop();
    ByteString image = read(Path.of(arguments.pop()));
    int frames = arguments.isEmpty() ? 20 : Integer.parseInt(arguments.pop());
    String ca = options.get("--ca");
    ManagedChannel channel =
        Connection.connect(
            options.get("--address"), ca == null ? null : new File(ca), options.get("--token"));
    try {
      switch (call) {
        case "predict" -> predict(channel, image);
        case "stream" -> stream(channel, image, frames);
        default -> throw new IllegalArgumentException(USAGE);
      }
    } finally {
      channel.shutdownNow();
    }
  }

  /** A binary PGM ends with its pixels; so do 784 raw bytes. */
  private static ByteString read(Path file) throws IOException {
    if (!Files.isReadable(file)) {
      throw new IOException("cannot read " + file);
    }
    byte[] content = Files.readAllBytes(file);
    return ByteString.copyFrom(
        Arrays.copyOfRange(content, Math.max(0, content.length - PIXELS), content.length));
  }

  /** Asks about one image, with a deadline. */
  private static void predict(Channel channel, ByteString image) {
    PredictResponse response =
        DigitServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(Duration.ofSeconds(5))
            .predict(PredictRequest.newBuilder().setPixels(image).build());
    Prediction first = response.getPredictions(0);
    System.out.printf(
        "%d %.3f (version %d)%n",
        first.getDigit(), first.getConfidence(), response.getModelVersion());
  }

  /** Sends numbered frames; every seventh is malformed and fails alone. */
  private static void stream(Channel channel, ByteString image, int count)
      throws InterruptedException {
    List<Frame> frames = new ArrayList<>();
    for (int number = 0; number < count; number++) {
      ByteString pixels = number % 7 == 6 ? image.substring(0, image.size() / 2) : image;
      frames.add(
          Frame.newBuilder().setFrameId(String.valueOf(number)).setPixels(pixels).build());
    }
    new Resuming(List.of(DigitServiceGrpc.newStub(channel)), 16, Duration.ofMinutes(1))
        .run(frames, Digits::print);
  }

  private static void print(StreamPredictResponse response) {
    String frame = response.getFrameId();
    switch (response.getOutcomeCase()) {
      case PREDICTED ->
          System.out.println(frame + ": " + response.getPredicted().getPredictions(0).getDigit());
      case FAILED -> System.out.println(frame + ": " + response.getFailed().getMessage());
      default -> {} // nothing is skipped unless that was asked for
    }
  }
}
