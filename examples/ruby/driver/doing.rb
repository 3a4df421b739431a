# frozen_string_literal: true

# One case being done; an error is an outcome as well.
class Doing
  V1 = Digitserve::V1
  AS_IT_IS = :itself.to_proc

  def initialize(given, parts, channels)
    @given = given
    @parts = parts
    @channels = channels
    @timeout = given.fetch(:timeout_ms, 20_000) / 1000.0
    @digits = channels.map { |channel| stub(V1::DigitService::Stub, channel) }
    @models = stub(V1::ModelService::Stub, channels.first)
    @outcome = { code: 0 }
  end

  def run
    start = now
    begin
      do_it
    rescue GRPC::BadStatus => e
      @outcome.merge!(Outcomes.ended(e))
    end
    @outcome.merge(elapsed_ms: ((now - start) * 1000).round)
  end

  private

  def do_it
    case @given[:call]
    when "Predict" then predict
    when "StreamPredict" then stream
    when "Resume" then resume
    when "GetLimits" then limits
    when "ListVersions" then versions
    when "Raw" then raw
    else raise "unknown call #{@given[:call]}"
    end
  end

  def stub(kind, channel) = kind.new(nil, nil, channel_override: channel)

  def deadline = Time.now + @timeout

  def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

  # Fields as protobuf has them: names of pixels become the bytes that they stand for.
  def fields(said)
    said.key?(:pixels) ? said.merge(pixels: pixels(said[:pixels])) : said
  end

  def pixels(names) = names.map { |name| @parts.fetch(name.to_sym) }.join.b

  def predict
    request = V1::PredictRequest.new(**fields(@given[:request]))
    @outcome[:predicted] = Outcomes.predicted(@digits.first.predict(request, deadline:))
  end

  def raw
    message = [@given[:request][:hex]].pack("H*")
    call = stub(GRPC::ClientStub, @channels.first)
    call.request_response(@given[:request][:method], message, AS_IT_IS, AS_IT_IS, deadline:)
  end

  def limits
    @outcome[:limits] = Outcomes.limits(@models.get_limits(V1::GetLimitsRequest.new, deadline:))
  end

  def versions
    response = @models.list_versions(V1::ListVersionsRequest.new, deadline:)
    @outcome[:versions] = response.versions.map { |each| Outcomes.version(each) }
  end

  def stream
    heard = Queue.new
    @outcome[:responses] = []
    @digits.first.stream_predict(messages(heard), deadline:) do |response|
      @outcome[:responses] << Outcomes.response(response)
      heard << response
    end
  ensure
    heard&.close # who waits for a response that does not come, waits no more
  end

  # Every message; in lockstep, each frame's response is awaited.
  def messages(heard)
    Enumerator.new do |stream|
      @given[:send].each do |item|
        sleep item.fetch(:pause_ms, 0) / 1000.0
        item.fetch(:times, 1).times do
          stream << message(item)
          heard.pop if @given[:lockstep] && item.key?(:frame)
        end
      end
    end
  end

  def message(item)
    request = V1::StreamPredictRequest.new
    if (said = item[:options])
      request.options = V1::StreamOptions.new(**said.except(:max_age_ms))
      request.options.max_age = duration(said[:max_age_ms]) if said.key?(:max_age_ms)
    end
    request.frame = V1::Frame.new(**fields(item[:frame])) if item.key?(:frame)
    request
  end

  def duration(milliseconds)
    seconds, rest = milliseconds.divmod(1000)
    Google::Protobuf::Duration.new(seconds:, nanos: rest * 1_000_000)
  end

  def resume
    resuming = Digits::Resuming.new(@digits, in_flight: @given[:in_flight], timeout: @timeout)
    each = @given[:pixels].map { |names| pixels(names) }
    frames = Array.new(@given[:frames]) do |at|
      V1::Frame.new(frame_id: "frame-#{at}", pixels: each[at % each.size])
    end
    @outcome[:outcomes] = []
    resuming.outcomes(frames) do |response|
      @outcome[:outcomes] << Outcomes.response(response).except(:sequence)
    end
  ensure
    @outcome.merge!(streams: resuming.streams, notices: resuming.notices) if resuming
  end
end
