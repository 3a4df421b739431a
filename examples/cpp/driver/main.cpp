// Does what the conformance cases say and prints what came of it.
//
// ../../conformance/README.md says what the cases mean and how an outcome is written.

#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cases.h"
#include "digits/connect.h"
#include "digitserve/v1/digits.grpc.pb.h"

namespace {

using namespace digitserve::v1;
using driver::json;

// Times Predicts, one after the other.
json latency(const std::string& address, int calls) {
  constexpr int kWarmUp = 200;
  const auto server = DigitService::NewStub(digits::connect(address));
  PredictRequest request;
  for (int at = 0; at < 784; ++at) request.mutable_pixels()->push_back(static_cast<char>(at));
  std::vector<std::chrono::nanoseconds> times;
  for (int call = -kWarmUp; call < calls; ++call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    PredictResponse response;
    const auto start = std::chrono::steady_clock::now();
    const auto status = server->Predict(&context, request, &response);
    if (!status.ok()) throw std::runtime_error(status.error_message());
    if (call >= 0) times.push_back(std::chrono::steady_clock::now() - start);
  }
  std::sort(times.begin(), times.end());
  const auto at_percent = [&](int percent) {
    return times.at(calls * percent / 100).count() / 1000;
  };
  return {{"calls", calls}, {"p50_us", at_percent(50)}, {"p99_us", at_percent(99)}};
}

json run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 3 && arguments[0] == "run") {
    return driver::run_cases(arguments[1], arguments[2]);
  }
  if (arguments.size() == 3 && arguments[0] == "latency") {
    return latency(arguments[1], std::stoi(arguments[2]));
  }
  throw std::invalid_argument("expected `run CASES SERVERS` or `latency ADDRESS CALLS`");
}

}  // namespace

int main(int count, char** arguments) try {
  std::cout << run({arguments + 1, arguments + count}) << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << "driver: " << error.what() << '\n';
  return 1;
}
