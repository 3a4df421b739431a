// Streams that go on after a drain, on another server or the same.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "digitserve/v1/digits.grpc.pb.h"

namespace digits {

// Streams frames until each has its outcome, however many streams that takes.
class Resuming {
 public:
  using Heard = std::function<void(const digitserve::v1::StreamPredictResponse&)>;

  // Asks the servers in turn; keeps at most `in_flight` frames written and without an outcome.
  // `timeout` is that of each stream.
  explicit Resuming(const std::vector<std::shared_ptr<grpc::Channel>>& servers,
                    std::size_t in_flight = 16,
                    std::chrono::milliseconds timeout = std::chrono::minutes(1));

  // Gives one response for each frame to `heard`. Returns what cannot be resumed; throws
  // std::runtime_error after 20 streams.
  grpc::Status run(std::deque<digitserve::v1::Frame> frames, const Heard& heard);

  // How many streams were opened.
  int streams() const { return streams_; }
  // Why the server wanted them ended.
  const std::vector<digitserve::v1::Notice::Reason>& notices() const { return notices_; }

 private:
  grpc::Status one_stream(digitserve::v1::DigitService::Stub& server,
                          std::deque<digitserve::v1::Frame>& todo, const Heard& heard);

  std::vector<std::unique_ptr<digitserve::v1::DigitService::Stub>> servers_;
  std::size_t in_flight_;
  std::chrono::milliseconds timeout_;
  int streams_ = 0;
  std::vector<digitserve::v1::Notice::Reason> notices_;
};

// Why a frame failed: the stable reason; empty if it did not.
std::string reason_of(const digitserve::v1::StreamPredictResponse& response);

}  // namespace digits
