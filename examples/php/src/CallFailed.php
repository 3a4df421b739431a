<?php

declare(strict_types=1);

namespace Digits;

use Google\Rpc\ErrorInfo;
use Google\Rpc\Status;
use GPBMetadata\Google\Rpc\ErrorDetails;

/** A call that ended with an error: its `code`, its `message`, and the details in `status`. */
final class CallFailed extends \RuntimeException
{
    private function __construct(public readonly Status $status)
    {
        parent::__construct($status->getMessage(), $status->getCode());
    }

    /** @param object $ended the status, as gRPC gives it */
    public static function unlessOk(object $ended): void
    {
        if ($ended->code === \Grpc\STATUS_OK) {
            return;
        }
        $status = new Status(['code' => $ended->code, 'message' => $ended->details]);
        if (isset($ended->metadata['grpc-status-details-bin'][0])) {
            $status->clear();
            $status->mergeFromString($ended->metadata['grpc-status-details-bin'][0]);
        }
        throw new self($status);
    }

    /** @return iterable<object> the details of which the kind is known */
    public static function details(Status $status): iterable
    {
        ErrorDetails::initOnce(); // unpack() knows what was loaded before, and nothing else
        foreach ($status->getDetails() as $detail) {
            if (str_starts_with($detail->getTypeUrl(), 'type.googleapis.com/google.rpc.')) {
                yield $detail->unpack();
            }
        }
    }

    /** Why it failed: the stable reason; empty if it did not. */
    public static function reason(?Status $status): string
    {
        foreach ($status === null ? [] : self::details($status) as $detail) {
            if ($detail instanceof ErrorInfo) {
                return $detail->getReason();
            }
        }
        return '';
    }
}
