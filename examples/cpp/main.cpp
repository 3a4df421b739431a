// Reads 28x28 grey images: `digits [options] predict FILE`, or `stream FILE [COUNT]`.

#include <grpcpp/client_context.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <exception>
#include <iomanip>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "digits/connect.h"
#include "digits/resume.h"

namespace {

using namespace digitserve::v1;

constexpr std::size_t kPixels = 28 * 28;

struct Options {
  std::string address = "127.0.0.1:50051";  // the server
  std::string ca;                           // a PEM file: speak TLS and trust this
  std::string token;                        // a bearer token, over TLS
  std::vector<std::string> words;           // the call, the file, the number of frames
};

Options read_options(const std::vector<std::string>& arguments) {
  Options options;
  const std::map<std::string, std::string*> named{
      {"--address", &options.address}, {"--ca", &options.ca}, {"--token", &options.token}};
  for (auto each = arguments.begin(); each != arguments.end(); ++each) {
    if (!each->starts_with("--")) {
      options.words.push_back(*each);
    } else if (!named.contains(*each) || each + 1 == arguments.end()) {
      throw std::invalid_argument("expected --address, --ca or --token with a value, got " + *each);
    } else {
      *named.at(*each) = *(each + 1);
      ++each;
    }
  }
  return options;
}

int read_count(const std::string& word) {
  int count = 0;
  const auto end = word.data() + word.size();
  const auto [stopped, error] = std::from_chars(word.data(), end, count);
  if (error != std::errc() || stopped != end || count < 1) {
    throw std::invalid_argument("expected a number of frames, got " + word);
  }
  return count;
}

// Asks about one image, with a deadline.
grpc::Status predict(const std::shared_ptr<grpc::Channel>& channel, const std::string& image) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  PredictRequest request;
  request.set_pixels(image);
  PredictResponse response;
  const auto status = DigitService::NewStub(channel)->Predict(&context, request, &response);
  for (const auto& each : response.predictions()) {
    std::cout << each.digit() << ' ' << std::fixed << std::setprecision(3) << each.confidence()
              << " (version " << response.model_version() << ")\n";
  }
  return status;
}

// Sends numbered frames; every seventh is malformed and fails alone.
grpc::Status stream(const std::shared_ptr<grpc::Channel>& channel, const std::string& image,
                    int count) {
  std::deque<Frame> frames(count);
  for (int number = 0; number < count; ++number) {
    frames[number].set_frame_id(std::to_string(number));
    frames[number].set_pixels(image.substr(0, number % 7 == 6 ? 700 : kPixels));
  }
  const auto print = [](const StreamPredictResponse& response) {
    std::cout << response.frame_id() << ": ";
    if (response.has_predicted()) {
      std::cout << response.predicted().predictions(0).digit() << '\n';
    } else {
      std::cout << response.failed().message() << '\n';
    }
  };
  return digits::Resuming({channel}).run(std::move(frames), print);
}

grpc::Status run(const Options& options) {
  const auto& words = options.words;
  if (words.size() < 2 || (words[0] != "predict" && words[0] != "stream")) {
    throw std::invalid_argument("expected `predict FILE` or `stream FILE [COUNT]`");
  }
  // A binary PGM ends with its pixels; so do 784 raw bytes.
  std::string image = digits::read_file(words[1]);
  image.erase(0, image.size() - std::min(image.size(), kPixels));
  const auto channel = digits::connect(options.address, options.ca, options.token);
  if (words[0] == "predict") return predict(channel, image);
  return stream(channel, image, words.size() > 2 ? read_count(words[2]) : 20);
}

}  // namespace

int main(int count, char** arguments) try {
  const auto status = run(read_options({arguments + 1, arguments + count}));
  if (status.ok()) return 0;
  std::cerr << "digits: status " << status.error_code() << ": " << status.error_message() << '\n';
  return 1;
} catch (const std::exception& error) {
  std::cerr << "digits: " << error.what() << '\n';
  return 1;
}
