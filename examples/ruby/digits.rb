# frozen_string_literal: true

# Reads 28x28 grey images: `ruby -Igen -Ilib digits.rb predict FILE`, or `stream FILE [FRAMES]`.

require "optparse"

require "digits"

# Asks about one image, with a deadline.
def predict(stub, pixels)
  response = stub.predict(Digitserve::V1::PredictRequest.new(pixels:), deadline: Time.now + 5)
  prediction = response.predictions.first
  puts format("%<digit>d %<confidence>.3f (version %<version>d)",
              digit: prediction.digit, confidence: prediction.confidence, version: response.model_version)
end

# Sends numbered frames; every seventh is malformed and fails alone.
def stream(stub, pixels, count)
  frames = Array.new(count) do |number|
    short = number % 7 == 6
    Digitserve::V1::Frame.new(frame_id: number.to_s, pixels: short ? pixels[0, 700] : pixels)
  end
  Digits::Resuming.new([stub]).outcomes(frames) do |response|
    case response.outcome
    when :predicted then puts "#{response.frame_id}: #{response.predicted.predictions.first.digit}"
    when :failed then puts "#{response.frame_id}: #{response.failed.message}"
    end
  end
end

def main(arguments)
  address = "127.0.0.1:50051"
  options = {}
  parser = OptionParser.new("usage: digits.rb [options] predict FILE | stream FILE [FRAMES]")
  parser.on("--address ADDRESS", "the server (#{address})") { |value| address = value }
  parser.on("--ca FILE", "a PEM file: speak TLS and trust this")
  parser.on("--token TOKEN", "a bearer token, over TLS")
  call, file, frames = parser.parse(arguments, into: options)
  options.delete(:address)
  abort parser.help unless file && %w[predict stream].include?(call)
  # A binary PGM ends with its pixels; so do 784 raw bytes.
  pixels = File.binread(file)
  pixels = pixels[-784..] || pixels
  channel = Digits.connect(address, **options)
  stub = Digitserve::V1::DigitService::Stub.new(nil, nil, channel_override: channel)
  call == "predict" ? predict(stub, pixels) : stream(stub, pixels, Integer(frames || 20))
rescue GRPC::BadStatus => e
  abort "digits: #{e.class.name.split("::").last}: #{e.details}"
rescue SystemCallError, ArgumentError, OptionParser::ParseError => e
  abort "digits: #{e.message}"
end

main(ARGV)
