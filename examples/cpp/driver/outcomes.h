// How an outcome is written.
#pragma once

#include <grpcpp/support/status.h>

#include <nlohmann/json.hpp>

#include "digitserve/v1/digits.pb.h"
#include "digitserve/v1/models.pb.h"

namespace driver {

using nlohmann::json;

// What the model said.
json predicted(const digitserve::v1::PredictResponse& response);
// What became of a frame, or a notice.
json response_of(const digitserve::v1::StreamPredictResponse& response);
// How a call ended, with what the details say.
json status_of(const grpc::Status& status);
json limits_of(const digitserve::v1::GetLimitsResponse& response);
json versions_of(const digitserve::v1::ListVersionsResponse& response);

}  // namespace driver
