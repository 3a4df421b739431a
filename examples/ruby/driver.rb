# frozen_string_literal: true

# Does what the conformance cases say and prints what came of it: ../conformance/README.md.

require "digits"
require "digitserve/v1/models_services_pb"

require_relative "driver/outcomes"
require_relative "driver/doing"

# Does every case.
def run(cases_file, servers_file)
  file = JSON.parse(File.read(cases_file), symbolize_names: true)
  servers = JSON.parse(File.read(servers_file), symbolize_names: true)
  parts = file[:pixels].transform_values { |part| [part[:hex]].pack("H*") * part.fetch(:times, 1) }
  file[:cases].to_h do |given|
    channels = given[:servers].map do |name|
      server = servers.fetch(name.to_sym)
      Digits.connect(server[:address], ca: server[:ca], token: given[:token])
    end
    [given[:name], Doing.new(given, parts, channels).run]
  ensure
    channels&.each(&:close)
  end
end

# Times Predicts, one after the other.
def latency(address, calls)
  channel = Digits.connect(address)
  stub = Digitserve::V1::DigitService::Stub.new(nil, nil, channel_override: channel)
  request = Digitserve::V1::PredictRequest.new(pixels: Array.new(784) { |at| at % 256 }.pack("C*"))
  times = Array.new(200 + Integer(calls)) do
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_microsecond)
    stub.predict(request, deadline: Time.now + 5)
    Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_microsecond) - start
  end
  times = times.drop(200).sort
  { calls: times.size, p50_us: times[times.size / 2].round, p99_us: times[times.size * 99 / 100].round }
ensure
  channel&.close
end

case ARGV
in ["run", cases, servers] then puts JSON.generate(run(cases, servers))
in ["latency", address, calls] then puts JSON.generate(latency(address, calls))
else abort "driver: expected `run CASES SERVERS` or `latency ADDRESS CALLS`"
end
