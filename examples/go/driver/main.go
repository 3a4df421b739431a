// Command driver does what the conformance cases say and prints what came of it.
//
// ../../conformance/README.md says what the cases mean and how an outcome is written.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/digitserve/digitserve/examples/go/digits"
	pb "github.com/digitserve/digitserve/examples/go/gen/digitserve/v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 3 {
		return fmt.Errorf("expected `run CASES SERVERS` or `latency ADDRESS CALLS`")
	}
	var said any
	var err error
	if arguments[0] == "latency" {
		said, err = latency(arguments[1], arguments[2])
	} else {
		said, err = runCases(arguments[1], arguments[2])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

func runCases(casesFile, serversFile string) (map[string]object, error) {
	var file file
	var servers map[string]server
	if err := read(casesFile, &file); err != nil {
		return nil, err
	}
	if err := read(serversFile, &servers); err != nil {
		return nil, err
	}
	outcomes := map[string]object{}
	for _, each := range file.Cases {
		outcome, err := each.do(file.Pixels, servers)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.Name, err)
		}
		outcomes[each.Name] = outcome
	}
	return outcomes, nil
}

func read(name string, into any) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

// latency times Predicts, one after the other.
func latency(address, calls string) (object, error) {
	const warmUp = 200
	count, err := strconv.Atoi(calls)
	if err != nil {
		return nil, err
	}
	connection, err := digits.Connect(address, "", "")
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	client := pb.NewDigitServiceClient(connection)
	request := &pb.PredictRequest{Pixels: make([]byte, 784)}
	for at := range request.Pixels {
		request.Pixels[at] = byte(at)
	}
	times := make([]time.Duration, 0, warmUp+count)
	for range warmUp + count {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		start := time.Now()
		_, err := client.Predict(ctx, request)
		times = append(times, time.Since(start))
		cancel()
		if err != nil {
			return nil, err
		}
	}
	times = times[warmUp:]
	slices.Sort(times)
	return object{
		"calls":  count,
		"p50_us": times[count/2].Microseconds(),
		"p99_us": times[count*99/100].Microseconds(),
	}, nil
}
