# frozen_string_literal: true

# How an outcome is written: ../../conformance/README.md.
module Outcomes
  RPC = Google::Rpc

  module_function

  # The bits of a float, in hexadecimal.
  def bits(value, kind = "g")
    [value].pack(kind).unpack1("H*")
  end

  def predicted(response)
    predictions = response.predictions.map do |each|
      {
        digit: each.digit,
        confidence: bits(each.confidence),
        probabilities: each.probabilities.map { |value| bits(value) },
        rejection: (bits(each.rejection) if each.has_rejection?)
      }
    end
    { model_version: response.model_version, predictions: }
  end

  # What became of a frame, or a notice.
  def response(from)
    said = { sequence: from.sequence, frame_id: from.frame_id }
    case from.outcome
    when :predicted then said[:predicted] = predicted(from.predicted)
    when :failed then said[:failed] = status(from.failed)
    when :skipped then said[:skipped] = from.skipped.reason_const
    when :notice
      said[:notice] = { reason: from.notice.reason_const, accepted: from.notice.accepted }
    end
    said
  end

  # How a call ended.
  def ended(error)
    from = error.to_rpc_status
    return status(from) if from

    { code: error.code, message: error.details.dup.force_encoding(Encoding::UTF_8) }
  end

  # A status with what its details say.
  def status(from)
    from.details.map { |any| detail(any) }.reduce({ code: from.code, message: from.message }, :merge)
  end

  # One of the google.rpc details.
  def detail(any)
    kinds = [RPC::ErrorInfo, RPC::BadRequest, RPC::ResourceInfo, RPC::RetryInfo]
    kind = kinds.find { |each| any.is(each) }
    case detail = kind && any.unpack(kind)
    when RPC::ErrorInfo then { reason: detail.reason, domain: detail.domain }
    when RPC::BadRequest then { violations: detail.field_violations.map(&:to_h) }
    when RPC::ResourceInfo
      { resource_type: detail.resource_type, resource_name: detail.resource_name }
    when RPC::RetryInfo
      { retry_ms: (detail.retry_delay.seconds * 1000) + (detail.retry_delay.nanos / 1_000_000) }
    else {}
    end
  end

  def limits(response)
    {
      max_images: response.max_images,
      max_message_bytes: response.max_message_bytes,
      encodings: response.encodings_const,
      deliveries: response.deliveries_const,
      max_in_flight_frames: response.max_in_flight_frames,
      max_in_flight_images: response.max_in_flight_images,
      max_frame_id_bytes: response.max_frame_id_bytes
    }
  end

  def version(from)
    {
      version: from.version,
      state: from.state_const,
      labels: from.labels.to_a,
      accuracy: (bits(from.accuracy, "G") if from.has_accuracy?),
      description: from.description,
      engine: from.engine
    }
  end
end
