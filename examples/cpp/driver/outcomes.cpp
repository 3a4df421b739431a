#include "outcomes.h"

#include <google/protobuf/util/time_util.h>

#include <bit>
#include <cstdint>
#include <iomanip>
#include <sstream>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace driver {
namespace {

using namespace digitserve::v1;

template <typename Bits>
std::string hexadecimal(Bits bits) {
  std::ostringstream text;
  text << std::hex << std::setfill('0') << std::setw(2 * sizeof bits) << bits;
  return text.str();
}

// The bits of a float.
std::string bits(float value) { return hexadecimal(std::bit_cast<std::uint32_t>(value)); }
std::string bits(double value) { return hexadecimal(std::bit_cast<std::uint64_t>(value)); }

// What one of the `google.rpc` details says.
json detail_of(const google::protobuf::Any& detail) {
  if (google::rpc::ErrorInfo info; detail.UnpackTo(&info)) {
    return {{"reason", info.reason()}, {"domain", info.domain()}};
  }
  if (google::rpc::BadRequest request; detail.UnpackTo(&request)) {
    auto violations = json::array();
    for (const auto& each : request.field_violations()) {
      violations.push_back({{"field", each.field()}, {"description", each.description()}});
    }
    return {{"violations", violations}};
  }
  if (google::rpc::ResourceInfo info; detail.UnpackTo(&info)) {
    return {{"resource_type", info.resource_type()}, {"resource_name", info.resource_name()}};
  }
  if (google::rpc::RetryInfo info; detail.UnpackTo(&info)) {
    using google::protobuf::util::TimeUtil;
    return {{"retry_ms", TimeUtil::DurationToMilliseconds(info.retry_delay())}};
  }
  return json::object();
}

json status_of(const google::rpc::Status& status) {
  json said{{"code", status.code()}, {"message", status.message()}};
  for (const auto& detail : status.details()) said.update(detail_of(detail));
  return said;
}

}  // namespace

json predicted(const PredictResponse& response) {
  auto predictions = json::array();
  for (const auto& each : response.predictions()) {
    auto probabilities = json::array();
    for (const float value : each.probabilities()) probabilities.push_back(bits(value));
    predictions.push_back({{"digit", each.digit()},
                           {"confidence", bits(each.confidence())},
                           {"probabilities", probabilities}});
    if (each.has_rejection()) predictions.back()["rejection"] = bits(each.rejection());
  }
  return {{"model_version", response.model_version()}, {"predictions", predictions}};
}

json response_of(const StreamPredictResponse& response) {
  json said{{"sequence", response.sequence()}, {"frame_id", response.frame_id()}};
  if (response.has_predicted()) said["predicted"] = predicted(response.predicted());
  if (response.has_failed()) said["failed"] = status_of(response.failed());
  if (response.has_skipped()) said["skipped"] = response.skipped().reason();
  if (response.has_notice()) {
    said["notice"] = {{"reason", response.notice().reason()},
                      {"accepted", response.notice().accepted()}};
  }
  return said;
}

json status_of(const grpc::Status& status) {
  google::rpc::Status detailed;
  if (!status.error_details().empty() && detailed.ParseFromString(status.error_details())) {
    return status_of(detailed);
  }
  return {{"code", status.error_code()}, {"message", status.error_message()}};
}

json limits_of(const GetLimitsResponse& response) {
  return {{"max_images", response.max_images()},
          {"max_message_bytes", response.max_message_bytes()},
          {"encodings", response.encodings()},
          {"deliveries", response.deliveries()},
          {"max_in_flight_frames", response.max_in_flight_frames()},
          {"max_in_flight_images", response.max_in_flight_images()},
          {"max_frame_id_bytes", response.max_frame_id_bytes()}};
}

json versions_of(const ListVersionsResponse& response) {
  auto listed = json::array();
  for (const auto& each : response.versions()) {
    listed.push_back({{"version", each.version()},
                      {"state", each.state()},
                      {"labels", each.labels()},
                      {"description", each.description()},
                      {"engine", each.engine()}});
    if (each.has_accuracy()) listed.back()["accuracy"] = bits(each.accuracy());
  }
  return listed;
}

}  // namespace driver
