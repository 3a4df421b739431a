#include "digits/resume.h"

#include <grpcpp/client_context.h>

#include <condition_variable>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>

#include "google/rpc/error_details.pb.h"

namespace digits {
namespace {

using namespace digitserve::v1;

constexpr int kMostStreams = 20;
constexpr std::chrono::milliseconds kPause{100};

// The frames of one stream, between its writer and its reader.
class Window {
 public:
  Window(std::deque<Frame>& todo, std::size_t in_flight) : todo_(todo), in_flight_(in_flight) {}

  // The next frame, when there is room for it; none when all are written, or it is over.
  std::optional<Frame> next(const std::stop_token& over) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, over, [this] { return unanswered_.size() < in_flight_; });
    if (over.stop_requested() || todo_.empty()) return {};
    const auto& [at, frame] = *unanswered_.emplace(sequence_++, std::move(todo_.front())).first;
    todo_.pop_front();
    return frame;
  }

  void answered(std::uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    unanswered_.erase(sequence);
    changed_.notify_one();
  }

  // Puts those back that got no outcome, in order. The writer has ended.
  void put_back() {
    for (; !unanswered_.empty(); unanswered_.erase(std::prev(unanswered_.end()))) {
      todo_.push_front(std::move(unanswered_.rbegin()->second));
    }
  }

 private:
  std::deque<Frame>& todo_;
  const std::size_t in_flight_;
  std::uint64_t sequence_ = 0;
  std::map<std::uint64_t, Frame> unanswered_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
};

}  // namespace

Resuming::Resuming(const std::vector<std::shared_ptr<grpc::Channel>>& servers,
                   std::size_t in_flight, std::chrono::milliseconds timeout)
    : in_flight_(in_flight), timeout_(timeout) {
  for (const auto& each : servers) servers_.push_back(DigitService::NewStub(each));
}

grpc::Status Resuming::run(std::deque<Frame> frames, const Heard& heard) {
  while (!frames.empty()) {
    if (streams_ == kMostStreams) {
      throw std::runtime_error(std::to_string(frames.size()) + " frames have no outcome after " +
                               std::to_string(streams_) + " streams");
    }
    auto& server = *servers_[streams_++ % servers_.size()];
    const auto status = one_stream(server, frames, heard);
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      std::this_thread::sleep_for(kPause);
    } else if (!status.ok()) {
      return status;
    }
  }
  return grpc::Status::OK;
}

grpc::Status Resuming::one_stream(DigitService::Stub& server, std::deque<Frame>& todo,
                                  const Heard& heard) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout_);
  const auto stream = server.StreamPredict(&context);
  Window window(todo, in_flight_);
  {
    std::jthread writer([&](const std::stop_token& over) {
      while (auto frame = window.next(over)) {
        StreamPredictRequest request;
        *request.mutable_frame() = *std::move(frame);
        if (!stream->Write(request)) return;  // Finish says why
      }
      stream->WritesDone();
    });
    for (StreamPredictResponse response; stream->Read(&response);) {
      if (response.has_notice()) {
        notices_.push_back(response.notice().reason());
        writer.request_stop();  // write no more: half-close, and read to the end
      } else if (reason_of(response) != "DRAINING") {
        window.answered(response.sequence());
        heard(response);
      }
    }
  }  // stops the writer, and waits for it
  window.put_back();
  return stream->Finish();
}

std::string reason_of(const StreamPredictResponse& response) {
  for (const auto& detail : response.failed().details()) {
    if (google::rpc::ErrorInfo info; detail.UnpackTo(&info)) return info.reason();
  }
  return {};
}

}  // namespace digits
