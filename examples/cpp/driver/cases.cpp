#include "cases.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "digits/connect.h"
#include "digits/resume.h"
#include "digitserve/v1/models.grpc.pb.h"

namespace driver {
namespace {

using namespace digitserve::v1;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (std::size_t at = 0; at < hex.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

using Parts = std::map<std::string, std::string>;

Parts parts_of(const json& table) {
  Parts parts;
  for (const auto& [name, part] : table.items()) {
    const auto once = bytes_of(part.at("hex"));
    for (int times = part.value("times", 1); times > 0; --times) parts[name] += once;
  }
  return parts;
}

// One case being done.
class Doing {
 public:
  Doing(const json& spec, const Parts& parts, const json& servers) : case_(spec), parts_(parts) {
    for (const auto& name : case_.at("servers")) {
      const auto& server = servers.at(name.get<std::string>());
      channels_.push_back(digits::connect(server.at("address"), server.value("ca", ""),
                                          case_.value("token", "")));
    }
  }

  json run() {
    using Call = grpc::Status (Doing::*)();
    static const std::map<std::string, Call> calls{
        {"Predict", &Doing::predict},       {"StreamPredict", &Doing::stream},
        {"Resume", &Doing::resume},         {"GetLimits", &Doing::limits},
        {"ListVersions", &Doing::versions}, {"Raw", &Doing::raw}};
    const auto call = calls.at(case_.at("call"));
    const auto start = steady_clock::now();
    outcome_.update(status_of((this->*call)()));
    const auto elapsed = steady_clock::now() - start;
    outcome_["elapsed_ms"] = std::chrono::duration_cast<milliseconds>(elapsed).count();
    return std::move(outcome_);
  }

 private:
  grpc::Status predict() {
    const auto request = message<PredictRequest>(case_.at("request"));
    PredictResponse response;
    const auto status = digits().Predict(&context(), request, &response);
    if (status.ok()) outcome_["predicted"] = predicted(response);
    return status;
  }

  grpc::Status stream() {
    const auto stream = digits().StreamPredict(&context());
    std::counting_semaphore<> heard(0);
    outcome_["responses"] = json::array();
    // Made beforehand: a mistake in them is to be thrown here.
    std::vector<StreamPredictRequest> messages;
    for (const auto& item : case_.at("send")) messages.push_back(stream_message(item));
    {
      const std::jthread writer([&] {
        if (write(*stream, messages, heard)) stream->WritesDone();
      });
      for (StreamPredictResponse response; stream->Read(&response);) {
        outcome_["responses"].push_back(response_of(response));
        heard.release();
      }
      heard.release();  // the stream is over: the writer's next Write tells it
    }
    return stream->Finish();
  }

  // Writes every message; in lockstep it waits for the response to each frame.
  template <typename Stream>
  bool write(Stream& stream, const std::vector<StreamPredictRequest>& messages,
             std::counting_semaphore<>& heard) const {
    const bool lockstep = case_.value("lockstep", false);
    for (std::size_t at = 0; at < messages.size(); ++at) {
      const auto& item = case_.at("send").at(at);
      std::this_thread::sleep_for(milliseconds(item.value("pause_ms", 0)));
      for (int times = item.value("times", 1); times > 0; --times) {
        if (!stream.Write(messages[at])) return false;  // Finish says why
        if (lockstep && messages[at].has_frame()) heard.acquire();
      }
    }
    return true;
  }

  StreamPredictRequest stream_message(const json& item) const {
    StreamPredictRequest request;
    if (item.contains("options")) {
      auto options = item.at("options");
      const auto age_ms = options.value("max_age_ms", -1);
      options.erase("max_age_ms");
      *request.mutable_options() = fields<StreamOptions>(options);
      if (age_ms >= 0) {
        using google::protobuf::util::TimeUtil;
        *request.mutable_options()->mutable_max_age() = TimeUtil::MillisecondsToDuration(age_ms);
      }
    }
    if (item.contains("frame")) *request.mutable_frame() = message<Frame>(item.at("frame"));
    return request;
  }

  grpc::Status resume() {
    digits::Resuming resuming(channels_, case_.at("in_flight"), timeout());
    const auto& pixels = case_.at("pixels");
    std::deque<Frame> frames(case_.at("frames"));
    for (std::size_t at = 0; at < frames.size(); ++at) {
      frames[at].set_frame_id("frame-" + std::to_string(at));
      frames[at].set_pixels(pixels_of(pixels.at(at % pixels.size())));
    }
    auto& outcomes = outcome_["outcomes"] = json::array();
    const auto status = resuming.run(std::move(frames), [&](const StreamPredictResponse& response) {
      outcomes.push_back(response_of(response));
      outcomes.back().erase("sequence");
    });
    outcome_["streams"] = resuming.streams();
    outcome_["notices"] = resuming.notices();
    return status;
  }

  grpc::Status limits() {
    GetLimitsResponse response;
    const auto status = models().GetLimits(&context(), {}, &response);
    if (status.ok()) outcome_["limits"] = limits_of(response);
    return status;
  }

  grpc::Status versions() {
    ListVersionsResponse response;
    const auto status = models().ListVersions(&context(), {}, &response);
    if (status.ok()) outcome_["versions"] = versions_of(response);
    return status;
  }

  // Sends bytes as they are.
  grpc::Status raw() {
    const grpc::Slice slice(bytes_of(case_.at("request").at("hex")));
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> ended;
    grpc::GenericStub(channels_.front())
        .UnaryCall(&context(), case_.at("request").at("method"), {}, &request, &response,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    return ended.get_future().get();
  }

  // A message of these fields; enums are numbers, which its JSON form takes as well as names.
  template <typename Message>
  static Message fields(const json& said) {
    Message message;
    const auto parsed = google::protobuf::util::JsonStringToMessage(said.dump(), &message);
    if (!parsed.ok()) throw std::invalid_argument(std::string(parsed.message()));
    return message;
  }

  template <typename Message>
  Message message(json said) const {
    const auto pixels = pixels_of(said.value("pixels", json::array()));
    said.erase("pixels");
    auto message = fields<Message>(said);
    message.set_pixels(pixels);
    return message;
  }

  std::string pixels_of(const json& names) const {
    std::string all;
    for (const auto& name : names) all += parts_.at(name.get<std::string>());
    return all;
  }

  milliseconds timeout() const { return milliseconds(case_.value("timeout_ms", 20'000)); }

  grpc::ClientContext& context() {
    context_.set_deadline(std::chrono::system_clock::now() + timeout());
    return context_;
  }

  DigitService::Stub& digits() { return *(digits_ = DigitService::NewStub(channels_.front())); }
  ModelService::Stub& models() { return *(models_ = ModelService::NewStub(channels_.front())); }

  const json& case_;
  const Parts& parts_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::unique_ptr<DigitService::Stub> digits_;
  std::unique_ptr<ModelService::Stub> models_;
  grpc::ClientContext context_;
  json outcome_ = json::object();
};

}  // namespace

json run_cases(const std::string& cases_file, const std::string& servers_file) {
  const auto file = json::parse(digits::read_file(cases_file));
  const auto servers = json::parse(digits::read_file(servers_file));
  const auto parts = parts_of(file.at("pixels"));
  auto outcomes = json::object();
  for (const auto& each : file.at("cases")) {
    outcomes[each.at("name")] = Doing(each, parts, servers).run();
  }
  return outcomes;
}

}  // namespace driver
