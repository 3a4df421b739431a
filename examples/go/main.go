// Command digits reads 28x28 grey images: `digits [flags] predict FILE` or `digits [flags] stream FILE [FRAMES]`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	"github.com/digitserve/digitserve/examples/go/digits"
	pb "github.com/digitserve/digitserve/examples/go/gen/digitserve/v1"
)

const pixels = 28 * 28

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "digits:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("address", "127.0.0.1:50051", "the server")
	ca := flag.String("ca", "", "a PEM file: speak TLS and trust this")
	token := flag.String("token", "", "a bearer token, over TLS")
	flag.Parse()
	if flag.NArg() < 2 {
		return errors.New("expected `predict FILE` or `stream FILE [FRAMES]`")
	}
	// A binary PGM ends with its pixels; so do 784 raw bytes.
	image, err := os.ReadFile(flag.Arg(1))
	if err != nil {
		return err
	}
	image = image[max(0, len(image)-pixels):]
	connection, err := digits.Connect(*address, *ca, *token)
	if err != nil {
		return err
	}
	defer connection.Close()
	client := pb.NewDigitServiceClient(connection)
	switch flag.Arg(0) {
	case "predict":
		return said(predict(client, image))
	case "stream":
		frames := 20
		if flag.NArg() > 2 {
			if frames, err = strconv.Atoi(flag.Arg(2)); err != nil {
				return err
			}
		}
		return said(stream(client, image, frames))
	}
	return fmt.Errorf("expected predict or stream, got %q", flag.Arg(0))
}

// predict asks about one image, with a deadline.
func predict(client pb.DigitServiceClient, image []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	response, err := client.Predict(ctx, &pb.PredictRequest{Pixels: image})
	if err != nil {
		return err
	}
	first := response.Predictions[0]
	fmt.Printf("%d %.3f (version %d)\n", first.Digit, first.Confidence, response.ModelVersion)
	return nil
}

// stream sends numbered frames; every seventh is malformed and fails alone.
func stream(client pb.DigitServiceClient, image []byte, count int) error {
	frames := make([]*pb.Frame, count)
	for number := range frames {
		frames[number] = &pb.Frame{FrameId: strconv.Itoa(number), Pixels: image}
		if number%7 == 6 {
			frames[number].Pixels = image[:len(image)/2]
		}
	}
	resuming := digits.Resuming{Servers: []pb.DigitServiceClient{client}, InFlight: 16, Timeout: time.Minute}
	return resuming.Run(context.Background(), frames, func(response *pb.StreamPredictResponse) {
		switch outcome := response.Outcome.(type) {
		case *pb.StreamPredictResponse_Predicted:
			fmt.Printf("%s: %d\n", response.FrameId, outcome.Predicted.Predictions[0].Digit)
		case *pb.StreamPredictResponse_Failed:
			fmt.Printf("%s: %s\n", response.FrameId, outcome.Failed.Message)
		}
	})
}

// said puts a call's error into words.
func said(err error) error {
	if status, ok := status.FromError(err); ok && err != nil {
		return fmt.Errorf("%s: %s", status.Code(), status.Message())
	}
	return err
}
