package io.github.digitserve.example.driver;

import io.github.digitserve.example.Resuming;
import io.github.digitserve.example.driver.CaseFile.Case;
import io.github.digitserve.example.driver.CaseFile.Item;
import io.github.digitserve.v1.DigitServiceGrpc;
import io.github.digitserve.v1.Frame;
import io.github.digitserve.v1.GetLimitsRequest;
import io.github.digitserve.v1.ListVersionsRequest;
import io.github.digitserve.v1.ModelServiceGrpc;
import io.github.digitserve.v1.StreamPredictRequest;
import io.github.digitserve.v1.StreamPredictResponse;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;

/** One case being done. */
final class Doing {
  private final CaseFile file;
  private final Case it;
  private final List<? extends Channel> channels;
  private final Duration timeout;
  private final Map<String, Object> outcome = new LinkedHashMap<>();

  Doing(CaseFile file, Case it, List<? extends Channel> channels) {
    this.file = file;
    this.it = it;
    this.channels = channels;
    timeout = Duration.ofMillis(it.timeoutMs() == null ? 20_000 : it.timeoutMs());
  }

  /** Does it; the error of a call is a part of the outcome. */
  Map<String, Object> run() throws InterruptedException {
    outcome.put("code", 0);
    long start = System.nanoTime();
    try {
      switch (it.call()) {
        case "Predict" -> predict();
        case "StreamPredict" -> stream();
        case "Resume" -> resume();
        case "GetLimits" -> limits();
        case "ListVersions" -> versions();
        case "Raw" -> raw();
        default -> throw new IllegalArgumentException("unknown call " + it.call());
      }
    } catch (StatusRuntimeException error) {
      outcome.putAll(Outcomes.status(StatusProto.fromThrowable(error)));
    }
    outcome.put("elapsed_ms", (System.nanoTime() - start) / 1_000_000);
    return outcome;
  }

  private void predict() {
    var stub = DigitServiceGrpc.newBlockingStub(channels.get(0)).withDeadlineAfter(timeout);
    var response = stub.predict(Messages.predict(file, it.request()));
    outcome.put("predicted", Outcomes.predicted(response));
  }

  private void limits() {
    var stub = ModelServiceGrpc.newBlockingStub(channels.get(0)).withDeadlineAfter(timeout);
    outcome.put(
        "limits", Outcomes.limits(stub.getLimits(GetLimitsRequest.getDefaultInstance())));
  }

  private void versions() {
    var stub = ModelServiceGrpc.newBlockingStub(channels.get(0)).withDeadlineAfter(timeout);
    var response = stub.listVersions(ListVersionsRequest.getDefaultInstance());
    outcome.put(
        "versions", response.getVersionsList().stream().map(Outcomes::version).toList());
  }

  private void resume() throws InterruptedException {
    List<Frame> frames = new ArrayList<>();
    for (int at = 0; at < it.frames(); at++) {
      List<String> names = it.pixels().get(at % it.pixels().size());
      frames.add(
          Frame.newBuilder().setFrameId("frame-" + at).setPixels(file.pixelsOf(names)).build());
    }
    Resuming resuming =
        new Resuming(
            channels.stream().map(DigitServiceGrpc::newStub).toList(), it.inFlight(), timeout);
    List<Map<String, Object>> outcomes = new ArrayList<>();
    outcome.put("outcomes", outcomes);
    try {
      resuming.run(
          frames,
          response -> {
            outcomes.add(Outcomes.response(response));
            outcomes.get(outcomes.size() - 1).remove("sequence");
          });
    } finally {
      outcome.put("streams", resuming.streams());
      outcome.put("notices", resuming.notices());
    }
  }

  // --- a stream ---------------------------------------------------------------------------------

  private void stream() throws InterruptedException {
    Heard heard = new Heard();
    outcome.put("responses", heard.responses);
    var stub = DigitServiceGrpc.newStub(channels.get(0)).withDeadlineAfter(timeout);
    StreamObserver<StreamPredictRequest> requests = stub.streamPredict(heard);
    for (Item item : it.send()) {
      Thread.sleep(item.pauseMs());
      StreamPredictRequest message = Messages.stream(file, item);
      for (int time = 0; time < CaseFile.times(item.times()); time++) {
        requests.onNext(message);
        if (it.lockstep() && item.frame() != null) {
          heard.one.acquire();
        }
      }
    }
    requests.onCompleted();
    heard.end.await();
    if (heard.error != null) {
      throw heard.error;
    }
  }

  private static final class Heard implements StreamObserver<StreamPredictResponse> {
    final List<Map<String, Object>> responses = new ArrayList<>();
    final Semaphore one = new Semaphore(0);
    final CountDownLatch end = new CountDownLatch(1);
    StatusRuntimeException error;

    @Override
    public void onNext(StreamPredictResponse response) {
      responses.add(Outcomes.response(response));
      one.release();
    }

    @Override
    public void onError(Throwable thrown) {
      error = (StatusRuntimeException) thrown;
      onCompleted();
    }

    @Override
    public void onCompleted() {
      one.release(Short.MAX_VALUE); // nobody waits for more
      end.countDown();
    }
  }

  // --- bytes as they are ------------------------------------------------------------------------

  private void raw() {
    MethodDescriptor<byte[], byte[]> method =
        MethodDescriptor.newBuilder(new AsItIs(), new AsItIs())
            .setType(MethodDescriptor.MethodType.UNARY)
            .setFullMethodName(it.request().method().substring(1))
            .build();
    ClientCalls.blockingUnaryCall(
        channels.get(0),
        method,
        CallOptions.DEFAULT.withDeadlineAfter(timeout),
        HexFormat.of().parseHex(it.request().hex()));
  }

  private static final class AsItIs implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }
}
