<?php

declare(strict_types=1);

use Digits\CallFailed;
use Digitserve\V1\GetLimitsResponse;
use Digitserve\V1\ModelVersion;
use Digitserve\V1\Prediction;
use Digitserve\V1\PredictResponse;
use Digitserve\V1\StreamPredictResponse;
use Google\Rpc\BadRequest;
use Google\Rpc\ErrorInfo;
use Google\Rpc\ResourceInfo;
use Google\Rpc\RetryInfo;
use Google\Rpc\Status;

/** How an outcome is written: ../../conformance/README.md. */
final class Outcomes
{
    /** The bits of a float, in hexadecimal; `E` is a double. */
    public static function bits(float $value, string $kind = 'G'): string
    {
        return bin2hex(pack($kind, $value));
    }

    /** @return list<mixed> what $write makes of each element */
    public static function each(callable $write, iterable $from): array
    {
        return array_map($write, iterator_to_array($from, false));
    }

    public static function predicted(PredictResponse $from): array
    {
        return [
            'model_version' => $from->getModelVersion(),
            'predictions' => self::each(self::prediction(...), $from->getPredictions()),
        ];
    }

    private static function prediction(Prediction $from): array
    {
        return [
            'digit' => $from->getDigit(),
            'confidence' => self::bits($from->getConfidence()),
            'probabilities' => self::each(fn ($value) => self::bits($value), $from->getProbabilities()),
            'rejection' => $from->hasRejection() ? self::bits($from->getRejection()) : null,
        ];
    }

    /** What became of a frame, or a notice. */
    public static function response(StreamPredictResponse $from): array
    {
        return ['sequence' => $from->getSequence(), 'frame_id' => $from->getFrameId()] + match ($from->getOutcome()) {
            'predicted' => ['predicted' => self::predicted($from->getPredicted())],
            'failed' => ['failed' => self::status($from->getFailed())],
            'skipped' => ['skipped' => $from->getSkipped()->getReason()],
            'notice' => ['notice' => [
                'reason' => $from->getNotice()->getReason(),
                'accepted' => $from->getNotice()->getAccepted(),
            ]],
        };
    }

    /** A status with what its details say. */
    public static function status(Status $from): array
    {
        $said = ['code' => $from->getCode(), 'message' => $from->getMessage()];
        foreach (CallFailed::details($from) as $detail) {
            $said += match (true) {
                $detail instanceof ErrorInfo => [
                    'reason' => $detail->getReason(),
                    'domain' => $detail->getDomain(),
                ],
                $detail instanceof BadRequest => ['violations' => self::each(
                    fn ($it) => ['field' => $it->getField(), 'description' => $it->getDescription()],
                    $detail->getFieldViolations(),
                )],
                $detail instanceof ResourceInfo => [
                    'resource_type' => $detail->getResourceType(),
                    'resource_name' => $detail->getResourceName(),
                ],
                $detail instanceof RetryInfo => [
                    'retry_ms' => $detail->getRetryDelay()->getSeconds() * 1000
                        + intdiv($detail->getRetryDelay()->getNanos(), 1_000_000),
                ],
                default => [],
            };
        }
        return $said;
    }

    public static function limits(GetLimitsResponse $from): array
    {
        return [
            'max_images' => $from->getMaxImages(),
            'max_message_bytes' => $from->getMaxMessageBytes(),
            'encodings' => iterator_to_array($from->getEncodings()),
            'deliveries' => iterator_to_array($from->getDeliveries()),
            'max_in_flight_frames' => $from->getMaxInFlightFrames(),
            'max_in_flight_images' => $from->getMaxInFlightImages(),
            'max_frame_id_bytes' => $from->getMaxFrameIdBytes(),
        ];
    }

    public static function version(ModelVersion $from): array
    {
        return [
            'version' => $from->getVersion(),
            'state' => $from->getState(),
            'labels' => iterator_to_array($from->getLabels()),
            'accuracy' => $from->hasAccuracy() ? self::bits($from->getAccuracy(), 'E') : null,
            'description' => $from->getDescription(),
            'engine' => $from->getEngine(),
        ];
    }
}
