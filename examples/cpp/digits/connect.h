// A connection to a digitserve server.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace digits {

// Opens a channel: in plain text, or over TLS that trusts the PEM file `ca` alone, with a bearer
// token for each call. Both may be empty. Throws std::runtime_error, or std::invalid_argument for a
// token without TLS.
std::shared_ptr<grpc::Channel> connect(const std::string& address, const std::string& ca = {},
                                       const std::string& token = {});

// The bytes of a file. Throws std::runtime_error.
std::string read_file(const std::string& name);

}  // namespace digits
