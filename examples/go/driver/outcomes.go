package main

import (
	"context"
	"fmt"
	"math"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	pb "github.com/digitserve/digitserve/examples/go/gen/digitserve/v1"
)

// bits writes a float as the bits that it is.
func bits(value float32) string { return fmt.Sprintf("%08x", math.Float32bits(value)) }

func predicted(response *pb.PredictResponse) object {
	predictions := []object{}
	for _, each := range response.Predictions {
		probabilities := []string{}
		for _, value := range each.Probabilities {
			probabilities = append(probabilities, bits(value))
		}
		said := object{
			"digit":         each.Digit,
			"confidence":    bits(each.Confidence),
			"probabilities": probabilities,
		}
		if each.Rejection != nil {
			said["rejection"] = bits(*each.Rejection)
		}
		predictions = append(predictions, said)
	}
	return object{"model_version": response.ModelVersion, "predictions": predictions}
}

func responseOf(response *pb.StreamPredictResponse) object {
	said := object{"sequence": response.Sequence, "frame_id": response.FrameId}
	switch outcome := response.Outcome.(type) {
	case *pb.StreamPredictResponse_Predicted:
		said["predicted"] = predicted(outcome.Predicted)
	case *pb.StreamPredictResponse_Failed:
		said["failed"] = statusOf(outcome.Failed)
	case *pb.StreamPredictResponse_Skipped:
		said["skipped"] = outcome.Skipped.Reason
	case *pb.StreamPredictResponse_Notice:
		said["notice"] = object{"reason": outcome.Notice.Reason, "accepted": outcome.Notice.Accepted}
	}
	return said
}

// addStatusOf says how a call ended; it returns what is no status.
func addStatusOf(err error, outcome object) error {
	ended, ok := status.FromError(err)
	if !ok {
		return err
	}
	for key, value := range statusOf(ended.Proto()) {
		outcome[key] = value
	}
	return nil
}

func statusOf(from *rpc.Status) object {
	said := object{"code": from.Code, "message": from.Message}
	for _, any := range from.Details {
		detail, err := any.UnmarshalNew()
		if err != nil {
			continue
		}
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			said["reason"], said["domain"] = detail.Reason, detail.Domain
		case *errdetails.BadRequest:
			violations := []object{}
			for _, each := range detail.FieldViolations {
				violations = append(violations, object{"field": each.Field, "description": each.Description})
			}
			said["violations"] = violations
		case *errdetails.ResourceInfo:
			said["resource_type"], said["resource_name"] = detail.ResourceType, detail.ResourceName
		case *errdetails.RetryInfo:
			said["retry_ms"] = detail.RetryDelay.AsDuration().Milliseconds()
		}
	}
	return said
}

func limits(ctx context.Context, connection *grpc.ClientConn, outcome object) error {
	response, err := pb.NewModelServiceClient(connection).GetLimits(ctx, &pb.GetLimitsRequest{})
	if err != nil {
		return err
	}
	outcome["limits"] = object{
		"max_images":           response.MaxImages,
		"max_message_bytes":    response.MaxMessageBytes,
		"encodings":            response.Encodings,
		"deliveries":           response.Deliveries,
		"max_in_flight_frames": response.MaxInFlightFrames,
		"max_in_flight_images": response.MaxInFlightImages,
		"max_frame_id_bytes":   response.MaxFrameIdBytes,
	}
	return nil
}

func versions(ctx context.Context, connection *grpc.ClientConn, outcome object) error {
	response, err := pb.NewModelServiceClient(connection).ListVersions(ctx, &pb.ListVersionsRequest{})
	if err != nil {
		return err
	}
	listed := []object{}
	for _, each := range response.Versions {
		said := object{
			"version":     each.Version,
			"state":       each.State,
			"labels":      each.Labels,
			"description": each.Description,
			"engine":      each.Engine,
		}
		if each.Accuracy != nil {
			said["accuracy"] = fmt.Sprintf("%016x", math.Float64bits(*each.Accuracy))
		}
		listed = append(listed, said)
	}
	outcome["versions"] = listed
	return nil
}
