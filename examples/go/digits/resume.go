package digits

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	pb "github.com/digitserve/digitserve/examples/go/gen/digitserve/v1"
)

const (
	mostStreams = 20
	pause       = 100 * time.Millisecond
)

// Resuming streams frames until each has its outcome, however many streams that takes.
type Resuming struct {
	Servers  []pb.DigitServiceClient // asked in turn
	InFlight int                     // frames that are written and have no outcome yet
	Timeout  time.Duration           // of each stream

	Streams int                // how many were opened
	Notices []pb.Notice_Reason // why the server wanted them ended
}

// Run gives one response for each frame to heard. It returns what cannot be resumed.
func (r *Resuming) Run(ctx context.Context, frames []*pb.Frame, heard func(*pb.StreamPredictResponse)) error {
	for len(frames) > 0 {
		if r.Streams == mostStreams {
			return fmt.Errorf("%d frames have no outcome after %d streams", len(frames), r.Streams)
		}
		server := r.Servers[r.Streams%len(r.Servers)]
		r.Streams++
		left, err := r.oneStream(ctx, server, frames, heard)
		if err != nil {
			if grpcstatus.Code(err) != codes.Unavailable {
				return err
			}
			time.Sleep(pause)
		}
		frames = left
	}
	return nil
}

// oneStream returns the frames that got no outcome of their own.
func (r *Resuming) oneStream(
	ctx context.Context, server pb.DigitServiceClient, frames []*pb.Frame, heard func(*pb.StreamPredictResponse),
) ([]*pb.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	stream, err := server.StreamPredict(ctx)
	if err != nil {
		return frames, err
	}
	room := make(chan struct{}, r.InFlight)
	over := make(chan struct{}) // closed at a notice: write no more
	end := sync.OnceFunc(func() { close(over) })
	written := make(chan int, 1)
	go func() { written <- write(stream, frames, room, over) }()

	unanswered := maps.Collect(slices.All(frames)) // by sequence
	err = func() error {
		defer end()
		for {
			response, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if notice := response.GetNotice(); notice != nil {
				r.Notices = append(r.Notices, notice.Reason)
				end()
			} else if Reason(response.GetFailed()) != "DRAINING" {
				delete(unanswered, int(response.Sequence))
				<-room
				heard(response)
			}
		}
	}()
	cancel()
	<-written
	left := make([]*pb.Frame, 0, len(unanswered))
	for _, sequence := range slices.Sorted(maps.Keys(unanswered)) {
		left = append(left, unanswered[sequence])
	}
	return left, err
}

// write writes frames for as long as it may, and half-closes.
func write(stream pb.DigitService_StreamPredictClient, frames []*pb.Frame, room, over chan struct{}) int {
	defer stream.CloseSend()
	for at, frame := range frames {
		select {
		case <-over:
			return at
		case room <- struct{}{}:
		}
		if stream.Send(&pb.StreamPredictRequest{Frame: frame}) != nil {
			return at // Recv says why
		}
	}
	return len(frames)
}

// Reason is the stable reason of a failure; empty if there is none.
func Reason(failed *status.Status) string {
	for _, detail := range failed.GetDetails() {
		var info errdetails.ErrorInfo
		if detail.UnmarshalTo(&info) == nil {
			return info.Reason
		}
	}
	return ""
}
