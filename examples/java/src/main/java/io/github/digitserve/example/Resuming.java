package io.github.digitserve.example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import io.github.digitserve.v1.DigitServiceGrpc.DigitServiceStub;
import io.github.digitserve.v1.Frame;
import io.github.digitserve.v1.StreamPredictRequest;
import io.github.digitserve.v1.StreamPredictResponse;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;

/** Streams frames until each has its outcome, however many streams that takes. */
public final class Resuming {
  private static final int MOST_STREAMS = 20;
  private static final long PAUSE_MS = 100;

  private final List<DigitServiceStub> servers;
  private final int inFlight;
  private final Duration timeout;
  private final List<Integer> notices = new ArrayList<>();
  private int streams;

  /**
   * Asks the servers in turn.
   *
   * @param inFlight frames that may be written and have no outcome yet
   * @param timeout of each stream
   */
  public Resuming(List<DigitServiceStub> servers, int inFlight, Duration timeout) {
    this.servers = servers;
    this.inFlight = inFlight;
    this.timeout = timeout;
  }

  /** How many streams were opened. */
  public int streams() {
    return streams;
  }

  /** Why the server wanted them ended: numbers of Notice.Reason. */
  public List<Integer> notices() {
    return List.copyOf(notices);
  }

  /**
   * Gives one response for each frame to {@code heard}, one after the other.
   *
   * @throws StatusRuntimeException what cannot be resumed
   */
  public void run(List<Frame> frames, Consumer<StreamPredictResponse> heard)
      throws InterruptedException {
    for (List<Frame> left = frames; !left.isEmpty(); ) {
      if (streams == MOST_STREAMS) {
        throw new IllegalStateException(
            left.size() + " frames have no outcome after " + streams + " streams");
      }
      DigitServiceStub server = servers.get(streams++ % servers.size());
      OneStream stream = new OneStream(left, heard);
      left = stream.run(server.withDeadlineAfter(timeout));
      if (stream.error != null) {
        if (stream.error.getStatus().getCode() != io.grpc.Status.Code.UNAVAILABLE) {
          throw stream.error;
        }
        Thread.sleep(PAUSE_MS);
      }
    }
  }

  /** The stable reason of a failure; empty if there is none. */
  public static String reasonOf(Status failed) {
    for (Any detail : failed.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        try {
          return detail.unpack(ErrorInfo.class).getReason();
        } catch (InvalidProtocolBufferException unreadable) {
          return "";
        }
      }
    }
    return "";
  }

  /** Written by the caller's thread, read by gRPC's. */
  private final class OneStream implements StreamObserver<StreamPredictResponse> {
    private final SortedMap<Long, Frame> unanswered = new TreeMap<>(); // by sequence
    private final Consumer<StreamPredictResponse> heard;
    private final Semaphore room = new Semaphore(inFlight);
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile boolean over; // write no more
    private StatusRuntimeException error;

    OneStream(List<Frame> frames, Consumer<StreamPredictResponse> heard) {
      this.heard = heard;
      frames.forEach(frame -> unanswered.put((long) unanswered.size(), frame));
    }

    /** Returns the frames that got no outcome of their own. */
    List<Frame> run(DigitServiceStub server) throws InterruptedException {
      List<Frame> frames = List.copyOf(unanswered.values());
      StreamObserver<StreamPredictRequest> requests = server.streamPredict(this);
      for (Frame frame : frames) {
        room.acquire();
        if (over) {
          break;
        }
        requests.onNext(StreamPredictRequest.newBuilder().setFrame(frame).build());
      }
      requests.onCompleted();
      ended.await();
      return List.copyOf(unanswered.values());
    }

    @Override
    public void onNext(StreamPredictResponse response) {
      if (response.hasNotice()) {
        notices.add(response.getNotice().getReasonValue());
        writeNoMore();
      } else if (!reasonOf(response.getFailed()).equals("DRAINING")) {
        unanswered.remove(response.getSequence());
        room.release();
        heard.accept(response);
      }
    }

    @Override
    public void onError(Throwable thrown) {
      error = (StatusRuntimeException) thrown;
      onCompleted();
    }

    @Override
    public void onCompleted() {
      writeNoMore();
      ended.countDown();
    }

    private void writeNoMore() {
      over = true;
      room.release();
    }
  }
}
