package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/digitserve/digitserve/examples/go/digits"
	pb "github.com/digitserve/digitserve/examples/go/gen/digitserve/v1"
)

type object map[string]any

type server struct{ Address, CA string }

type file struct {
	Cases  []testCase
	Pixels parts
}

type parts map[string]struct {
	Hex   string
	Times *int
}

// of concatenates named parts.
func (p parts) of(names []string) ([]byte, error) {
	var all []byte
	for _, name := range names {
		part, err := hex.DecodeString(p[name].Hex)
		if err != nil || len(part) == 0 {
			return nil, fmt.Errorf("no pixels %q", name)
		}
		all = append(all, bytes.Repeat(part, times(p[name].Times))...)
	}
	return all, nil
}

func times(said *int) int {
	if said == nil {
		return 1
	}
	return *said
}

type testCase struct {
	Name, Call, Token string
	Servers           []string
	TimeoutMs         int64 `json:"timeout_ms"`
	Request           request
	Send              []item
	Lockstep          bool
	Frames            int
	InFlight          int `json:"in_flight"`
	Pixels            [][]string
}

type model struct {
	Version *uint64
	Label   *string
}

type request struct {
	model
	Pixels           []string
	Count            uint32
	Encoding, Detail int32
	Method, Hex      string
}

type item struct {
	Options *struct {
		model
		Encoding, Detail, Delivery int32
		MaxInFlightFrames          uint32 `json:"max_in_flight_frames"`
		MaxInFlightImages          uint32 `json:"max_in_flight_images"`
		MaxAgeMs                   *int64 `json:"max_age_ms"`
	}
	Frame *struct {
		FrameID   string `json:"frame_id"`
		Pixels    []string
		Count     uint32
		AgeUs     uint64 `json:"age_us"`
		TimeoutUs uint64 `json:"timeout_us"`
	}
	Times   *int
	PauseMs int64 `json:"pause_ms"`
}

// do does one case. An error is the driver's own; that of a call is part of the outcome.
func (c testCase) do(pixels parts, servers map[string]server) (object, error) {
	timeout := 20 * time.Second
	if c.TimeoutMs > 0 {
		timeout = time.Duration(c.TimeoutMs) * time.Millisecond
	}
	var connections []*grpc.ClientConn
	for _, name := range c.Servers {
		connection, err := digits.Connect(servers[name].Address, servers[name].CA, c.Token)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		connections = append(connections, connection)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	outcome := object{"code": 0}
	start := time.Now()
	var err error
	switch c.Call {
	case "Predict":
		err = c.predict(ctx, connections[0], pixels, outcome)
	case "StreamPredict":
		err = c.stream(ctx, connections[0], pixels, outcome)
	case "Resume":
		err = c.resume(connections, timeout, pixels, outcome)
	case "GetLimits":
		err = limits(ctx, connections[0], outcome)
	case "ListVersions":
		err = versions(ctx, connections[0], outcome)
	case "Raw":
		err = c.raw(ctx, connections[0])
	default:
		err = fmt.Errorf("unknown call %q", c.Call)
	}
	if err != nil {
		if err = addStatusOf(err, outcome); err != nil {
			return nil, err
		}
	}
	outcome["elapsed_ms"] = time.Since(start).Milliseconds()
	return outcome, nil
}

func (c testCase) predict(ctx context.Context, connection *grpc.ClientConn, pixels parts, outcome object) error {
	data, err := pixels.of(c.Request.Pixels)
	if err != nil {
		return err
	}
	message := &pb.PredictRequest{
		Pixels:   data,
		Count:    c.Request.Count,
		Encoding: pb.PixelEncoding(c.Request.Encoding),
		Detail:   pb.Detail(c.Request.Detail),
	}
	if c.Request.Version != nil {
		message.Model = &pb.PredictRequest_Version{Version: *c.Request.Version}
	}
	if c.Request.Label != nil {
		message.Model = &pb.PredictRequest_Label{Label: *c.Request.Label}
	}
	response, err := pb.NewDigitServiceClient(connection).Predict(ctx, message)
	if err != nil {
		return err
	}
	outcome["predicted"] = predicted(response)
	return nil
}

func (c testCase) stream(ctx context.Context, connection *grpc.ClientConn, pixels parts, outcome object) error {
	stream, err := pb.NewDigitServiceClient(connection).StreamPredict(ctx)
	if err != nil {
		return err
	}
	heard := make(chan struct{}, 1024)
	mistake := make(chan error, 1)
	go func() {
		defer stream.CloseSend()
		mistake <- c.write(stream, pixels, heard)
	}()
	responses := []object{}
	defer func() { outcome["responses"] = responses }()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return <-mistake
		}
		if err != nil {
			return err
		}
		responses = append(responses, responseOf(response))
		heard <- struct{}{}
	}
}

// write writes every message; in lockstep it waits for the response to each frame.
func (c testCase) write(stream pb.DigitService_StreamPredictClient, pixels parts, heard <-chan struct{}) error {
	for _, item := range c.Send {
		message, err := item.message(pixels)
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(item.PauseMs) * time.Millisecond)
		for range times(item.Times) {
			if stream.Send(message) != nil {
				return nil // Recv says why
			}
			if c.Lockstep && item.Frame != nil {
				select {
				case <-heard:
				case <-stream.Context().Done():
					return nil
				}
			}
		}
	}
	return nil
}

func (i item) message(pixels parts) (*pb.StreamPredictRequest, error) {
	message := &pb.StreamPredictRequest{}
	if o := i.Options; o != nil {
		message.Options = &pb.StreamOptions{
			Encoding:          pb.PixelEncoding(o.Encoding),
			Detail:            pb.Detail(o.Detail),
			Delivery:          pb.Delivery(o.Delivery),
			MaxInFlightFrames: o.MaxInFlightFrames,
			MaxInFlightImages: o.MaxInFlightImages,
		}
		if o.Version != nil {
			message.Options.Model = &pb.StreamOptions_Version{Version: *o.Version}
		}
		if o.Label != nil {
			message.Options.Model = &pb.StreamOptions_Label{Label: *o.Label}
		}
		if o.MaxAgeMs != nil {
			message.Options.MaxAge = durationpb.New(time.Duration(*o.MaxAgeMs) * time.Millisecond)
		}
	}
	if f := i.Frame; f != nil {
		data, err := pixels.of(f.Pixels)
		if err != nil {
			return nil, err
		}
		message.Frame = &pb.Frame{
			FrameId: f.FrameID, Pixels: data, Count: f.Count, AgeUs: f.AgeUs, TimeoutUs: f.TimeoutUs,
		}
	}
	return message, nil
}

func (c testCase) resume(connections []*grpc.ClientConn, timeout time.Duration, pixels parts, outcome object) error {
	resuming := digits.Resuming{InFlight: c.InFlight, Timeout: timeout}
	for _, connection := range connections {
		resuming.Servers = append(resuming.Servers, pb.NewDigitServiceClient(connection))
	}
	frames := make([]*pb.Frame, c.Frames)
	for at := range frames {
		data, err := pixels.of(c.Pixels[at%len(c.Pixels)])
		if err != nil {
			return err
		}
		frames[at] = &pb.Frame{FrameId: fmt.Sprintf("frame-%d", at), Pixels: data}
	}
	outcomes := []object{}
	err := resuming.Run(context.Background(), frames, func(response *pb.StreamPredictResponse) {
		said := responseOf(response)
		delete(said, "sequence")
		outcomes = append(outcomes, said)
	})
	outcome["outcomes"], outcome["streams"], outcome["notices"] = outcomes, resuming.Streams, resuming.Notices
	return err
}

// raw sends bytes as they are.
func (c testCase) raw(ctx context.Context, connection *grpc.ClientConn) error {
	message, err := hex.DecodeString(c.Request.Hex)
	if err != nil {
		return err
	}
	var answer []byte
	return connection.Invoke(ctx, c.Request.Method, &message, &answer, grpc.ForceCodec(asItIs{}))
}

type asItIs struct{}

func (asItIs) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (asItIs) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

func (asItIs) Name() string { return "proto" }
