package io.github.digitserve.example.driver;

import com.google.protobuf.ByteString;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/** The case file as it is: what is absent is null or 0. */
record CaseFile(List<Case> cases, Map<String, Part> pixels) {
  record Server(String address, String ca) {}

  record Part(String hex, Integer times) {}

  record Case(
      String name,
      String call,
      List<String> servers,
      Integer timeoutMs,
      String token,
      Request request,
      List<Item> send,
      boolean lockstep,
      int frames,
      int inFlight,
      List<List<String>> pixels) {}

  record Request(
      List<String> pixels,
      int count,
      int encoding,
      int detail,
      Long version,
      String label,
      String method,
      String hex) {}

  record Item(Options options, Sent frame, Integer times, int pauseMs) {}

  record Options(
      int encoding,
      int detail,
      Long version,
      String label,
      int delivery,
      int maxInFlightFrames,
      int maxInFlightImages,
      Long maxAgeMs) {}

  record Sent(String frameId, List<String> pixels, int count, long ageUs, long timeoutUs) {}

  /** Concatenates named parts. */
  ByteString pixelsOf(List<String> names) {
    ByteString all = ByteString.EMPTY;
    for (String name : names == null ? List.<String>of() : names) {
      Part part = pixels.get(name);
      String hex = part.hex().repeat(times(part.times()));
      all = all.concat(ByteString.copyFrom(HexFormat.of().parseHex(hex)));
    }
    return all;
  }

  static int times(Integer said) {
    return said == null ? 1 : said;
  }
}
