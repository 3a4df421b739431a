package io.github.digitserve.example.driver;

import com.google.protobuf.Duration;
import io.github.digitserve.example.driver.CaseFile.Item;
import io.github.digitserve.example.driver.CaseFile.Options;
import io.github.digitserve.example.driver.CaseFile.Request;
import io.github.digitserve.example.driver.CaseFile.Sent;
import io.github.digitserve.v1.PredictRequest;
import io.github.digitserve.v1.StreamOptions;
import io.github.digitserve.v1.StreamPredictRequest;

/** What the case file says, as messages. */
final class Messages {
  private Messages() {}

  static PredictRequest predict(CaseFile file, Request said) {
    PredictRequest.Builder request =
        PredictRequest.newBuilder()
            .setPixels(file.pixelsOf(said.pixels()))
            .setCount(said.count())
            .setEncodingValue(said.encoding())
            .setDetailValue(said.detail());
    if (said.version() != null) {
      request.setVersion(said.version());
    }
    if (said.label() != null) {
      request.setLabel(said.label());
    }
    return request.build();
  }

  static StreamPredictRequest stream(CaseFile file, Item item) {
    StreamPredictRequest.Builder message = StreamPredictRequest.newBuilder();
    if (item.options() != null) {
      message.setOptions(options(item.options()));
    }
    Sent sent = item.frame();
    if (sent != null) {
      message
          .getFrameBuilder()
          .setFrameId(sent.frameId() == null ? "" : sent.frameId())
          .setPixels(file.pixelsOf(sent.pixels()))
          .setCount(sent.count())
          .setAgeUs(sent.ageUs())
          .setTimeoutUs(sent.timeoutUs());
    }
    return message.build();
  }

  private static StreamOptions.Builder options(Options said) {
    StreamOptions.Builder options =
        StreamOptions.newBuilder()
            .setEncodingValue(said.encoding())
            .setDetailValue(said.detail())
            .setDeliveryValue(said.delivery())
            .setMaxInFlightFrames(said.maxInFlightFrames())
            .setMaxInFlightImages(said.maxInFlightImages());
    if (said.version() != null) {
      options.setVersion(said.version());
    }
    if (said.label() != null) {
      options.setLabel(said.label());
    }
    if (said.maxAgeMs() != null) {
      options.setMaxAge(
          Duration.newBuilder()
              .setSeconds(said.maxAgeMs() / 1000)
              .setNanos((int) (said.maxAgeMs() % 1000) * 1_000_000));
    }
    return options;
  }
}
