#include "digits/connect.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace digits {
namespace {

// The server says in `grpc-retry-pushback-ms` when a full queue is worth another try: heeded.
constexpr auto kServiceConfig = R"({
  "methodConfig": [{
    "name": [{"service": "digitserve.v1.DigitService", "method": "Predict"}],
    "retryPolicy": {
      "maxAttempts": 4,
      "initialBackoff": "0.1s",
      "maxBackoff": "2s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
    }
  }]
})";

std::shared_ptr<grpc::ChannelCredentials> credentials(const std::string& ca,
                                                      const std::string& token) {
  if (ca.empty()) {
    if (!token.empty()) throw std::invalid_argument("a token is sent over TLS only");
    return grpc::InsecureChannelCredentials();
  }
  const std::string pem = read_file(ca);
  // gRPC takes "no certificates" for "those that the system trusts".
  if (pem.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    throw std::runtime_error(ca + " holds no certificate");
  }
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = pem;
  const auto tls = grpc::SslCredentials(options);
  if (token.empty()) return tls;
  return grpc::CompositeChannelCredentials(tls, grpc::AccessTokenCredentials(token));
}

}  // namespace

std::string read_file(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), {}};
  if (!file) throw std::runtime_error(name + ": " + std::generic_category().message(errno));
  return content;
}

std::shared_ptr<grpc::Channel> connect(const std::string& address, const std::string& ca,
                                       const std::string& token) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetMaxSendMessageSize(-1);  // the server says what is too long
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, credentials(ca, token), arguments);
}

}  // namespace digits
