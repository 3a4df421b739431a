package io.github.digitserve.example.driver;

import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.ResourceInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.github.digitserve.v1.GetLimitsResponse;
import io.github.digitserve.v1.ModelVersion;
import io.github.digitserve.v1.Notice;
import io.github.digitserve.v1.PredictResponse;
import io.github.digitserve.v1.Prediction;
import io.github.digitserve.v1.StreamPredictResponse;
import java.util.LinkedHashMap;
import java.util.Map;

/** How an outcome is written: as maps, which become JSON without what is null. */
final class Outcomes {
  private Outcomes() {}

  /** The bits that a float is. */
  static String bits(float value) {
    return String.format("%08x", Float.floatToRawIntBits(value));
  }

  static Map<String, Object> predicted(PredictResponse response) {
    return Map.of(
        "model_version", response.getModelVersion(),
        "predictions", response.getPredictionsList().stream().map(Outcomes::prediction).toList());
  }

  private static Map<String, Object> prediction(Prediction said) {
    Map<String, Object> written = new LinkedHashMap<>();
    written.put("digit", said.getDigit());
    written.put("confidence", bits(said.getConfidence()));
    written.put("probabilities", said.getProbabilitiesList().stream().map(Outcomes::bits).toList());
    written.put("rejection", said.hasRejection() ? bits(said.getRejection()) : null);
    return written;
  }

  static Map<String, Object> response(StreamPredictResponse said) {
    Map<String, Object> written = new LinkedHashMap<>();
    written.put("sequence", said.getSequence());
    written.put("frame_id", said.getFrameId());
    switch (said.getOutcomeCase()) {
      case PREDICTED -> written.put("predicted", predicted(said.getPredicted()));
      case FAILED -> written.put("failed", status(said.getFailed()));
      case SKIPPED -> written.put("skipped", said.getSkipped().getReasonValue());
      case NOTICE -> {
        Notice notice = said.getNotice();
        written.put(
            "notice",
            Map.of("reason", notice.getReasonValue(), "accepted", notice.getAccepted()));
      }
      default -> {} // the comparison tells
    }
    return written;
  }

  static Map<String, Object> status(Status said) {
    Map<String, Object> written = new LinkedHashMap<>();
    written.put("code", said.getCode());
    written.put("message", said.getMessage());
    for (Any detail : said.getDetailsList()) {
      try {
        written.putAll(detail(detail));
      } catch (InvalidProtocolBufferException error) {
        throw new IllegalStateException(error);
      }
    }
    return written;
  }

  private static Map<String, Object> detail(Any detail) throws InvalidProtocolBufferException {
    if (detail.is(ErrorInfo.class)) {
      ErrorInfo info = detail.unpack(ErrorInfo.class);
      return Map.of("reason", info.getReason(), "domain", info.getDomain());
    }
    if (detail.is(BadRequest.class)) {
      var violations = detail.unpack(BadRequest.class).getFieldViolationsList().stream();
      return Map.of(
          "violations",
          violations
              .map(each -> Map.of("field", each.getField(), "description", each.getDescription()))
              .toList());
    }
    if (detail.is(ResourceInfo.class)) {
      ResourceInfo info = detail.unpack(ResourceInfo.class);
      return Map.of(
          "resource_type", info.getResourceType(), "resource_name", info.getResourceName());
    }
    if (detail.is(RetryInfo.class)) {
      Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
      return Map.of("retry_ms", delay.getSeconds() * 1000 + delay.getNanos() / 1_000_000);
    }
    return Map.of();
  }

  static Map<String, Object> limits(GetLimitsResponse said) {
    return Map.of(
        "max_images", said.getMaxImages(),
        "max_message_bytes", said.getMaxMessageBytes(),
        "encodings", said.getEncodingsValueList(),
        "deliveries", said.getDeliveriesValueList(),
        "max_in_flight_frames", said.getMaxInFlightFrames(),
        "max_in_flight_images", said.getMaxInFlightImages(),
        "max_frame_id_bytes", said.getMaxFrameIdBytes());
  }

  static Map<String, Object> version(ModelVersion said) {
    Map<String, Object> written = new LinkedHashMap<>();
    written.put("version", said.getVersion());
    written.put("state", said.getStateValue());
    written.put("labels", said.getLabelsList());
    if (said.hasAccuracy()) {
      long bits = Double.doubleToRawLongBits(said.getAccuracy());
      written.put("accuracy", String.format("%016x", bits));
    }
    written.put("description", said.getDescription());
    written.put("engine", said.getEngine());
    return written;
  }
}
