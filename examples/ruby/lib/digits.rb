# frozen_string_literal: true

# A connection to a digitserve server, and what a failure says of itself.

require "json"

require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
require "grpc"

require "digits/resuming"
require "digitserve/v1/digits_services_pb"

module Digits
  RETRY = {
    methodConfig: [{
      name: [{ service: "digitserve.v1.DigitService", method: "Predict" }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        # `grpc-retry-pushback-ms` says when a full queue is worth another try.
        retryableStatusCodes: %w[UNAVAILABLE RESOURCE_EXHAUSTED]
      }
    }]
  }.freeze
  OPTIONS = {
    "grpc.service_config" => JSON.generate(RETRY),
    "grpc.max_send_message_length" => -1, # the server says what is too long
    "grpc.max_receive_message_length" => -1
  }.freeze

  # Opens a channel: plain text, or TLS that trusts the PEM file `ca` alone, with a bearer token
  # for each call. Give it to stubs: `Stub.new(nil, nil, channel_override: channel)`.
  def self.connect(address, ca: nil, token: nil)
    if ca.nil?
      raise ArgumentError, "a token is sent over TLS only" if token

      return GRPC::Core::Channel.new(address, OPTIONS, :this_channel_is_insecure)
    end
    credentials = GRPC::Core::ChannelCredentials.new(File.read(ca))
    if token
      bearer = GRPC::Core::CallCredentials.new(->(_) { { authorization: "Bearer #{token}" } })
      credentials = credentials.compose(bearer)
    end
    GRPC::Core::Channel.new(address, OPTIONS, credentials)
  end

  # Why a frame failed: the stable reason; nil if it did not.
  def self.reason(response)
    info = response.failed&.details&.find { |detail| detail.is(Google::Rpc::ErrorInfo) }
    info&.unpack(Google::Rpc::ErrorInfo)&.reason
  end
end
