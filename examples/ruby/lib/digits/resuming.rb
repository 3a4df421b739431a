# frozen_string_literal: true

module Digits
  # Streams frames until each has its outcome, however many streams that takes.
  class Resuming
    MOST_STREAMS = 20
    PAUSE = 0.1 # seconds

    attr_reader :streams, :notices # how many were opened; why the server wanted them ended

    # Asks the servers (a stub for each address) in turn; keeps at most `in_flight` frames
    # unanswered. `timeout` is that of each stream, in seconds.
    def initialize(servers, in_flight: 16, timeout: 60)
      @servers = servers
      @in_flight = in_flight
      @timeout = timeout
      @streams = 0
      @notices = []
    end

    # Yields one response for each frame. Raises GRPC::BadStatus for what cannot be resumed.
    def outcomes(frames, &)
      until frames.empty?
        give_up(frames.size) if @streams == MOST_STREAMS
        server = @servers[@streams % @servers.size]
        @streams += 1
        frames = one_stream(server, frames, &)
      end
    end

    private

    def give_up(left)
      raise GRPC::Unavailable, "#{left} frames have no outcome after #{@streams} streams"
    end

    # Returns the frames that got no outcome of their own.
    def one_stream(server, frames)
      unanswered = frames.each_with_index.to_h { |frame, sequence| [sequence, frame] }
      room = SizedQueue.new(@in_flight)
      deadline = Time.now + @timeout
      call = server.stream_predict(requests(frames, room), deadline:, return_op: true)
      call.execute.each do |response|
        if response.notice
          @notices << response.notice.reason_const
          room.close # write no more: half-close, and read to the end
        elsif Digits.reason(response) != "DRAINING"
          unanswered.delete(response.sequence)
          room.pop
          yield response
        end
      end
      unanswered.values
    rescue GRPC::Unavailable
      sleep PAUSE
      unanswered.values
    ensure
      room.close
      call&.cancel
    end

    # What gRPC's own thread writes: a frame whenever there is room for it.
    def requests(frames, room)
      Enumerator.new do |stream|
        frames.each do |frame|
          room << frame
          stream << Digitserve::V1::StreamPredictRequest.new(frame:)
        end
      rescue ClosedQueueError
        # A notice, or the end of the stream.
      end
    end
  end
end
