<?php

declare(strict_types=1);

namespace Digits;

use Digitserve\V1\DigitServiceClient;
use Digitserve\V1\Frame;
use Digitserve\V1\StreamPredictRequest;
use Digitserve\V1\StreamPredictResponse;

/** Streams frames until each has its outcome, however many streams that takes. */
final class Resuming
{
    private const MOST_STREAMS = 20;
    private const PAUSE_US = 100_000;

    /** How many streams were opened. */
    public int $streams = 0;

    /** @var list<int> why the server wanted them ended */
    public array $notices = [];

    /**
     * @param list<DigitServiceClient> $servers a stub for each address; they are asked in turn
     * @param int $inFlight frames that are written and have no outcome yet, at most
     * @param float $timeout seconds, of each stream
     */
    public function __construct(
        private readonly array $servers,
        private readonly int $inFlight = 16,
        private readonly float $timeout = 60.0,
    ) {
    }

    /**
     * Gives one response for each frame.
     *
     * @param list<Frame> $frames
     * @return \Generator<StreamPredictResponse>
     * @throws CallFailed what cannot be resumed
     */
    public function outcomes(array $frames): \Generator
    {
        while ($frames) {
            if ($this->streams === self::MOST_STREAMS) {
                throw new \RuntimeException(count($frames) . " frames have no outcome after $this->streams streams");
            }
            $server = $this->servers[$this->streams++ % count($this->servers)];
            try {
                yield from $this->oneStream($server, $frames);
            } catch (CallFailed $failed) {
                if ($failed->getCode() !== \Grpc\STATUS_UNAVAILABLE) {
                    throw $failed;
                }
                usleep(self::PAUSE_US);
            }
            $frames = array_values($frames);
        }
    }

    /**
     * Takes those frames away that get an outcome of their own. PHP has one thread: when all that may be in
     * flight is, it reads.
     *
     * @param array<int, Frame> $frames by sequence
     * @return \Generator<StreamPredictResponse>
     */
    private function oneStream(DigitServiceClient $server, array &$frames): \Generator
    {
        $call = $server->StreamPredict([], ['timeout' => (int) ($this->timeout * 1e6)]);
        $unwritten = $frames;
        $open = true;
        try {
            do {
                while ($unwritten && count($frames) - count($unwritten) < $this->inFlight) {
                    $call->write(new StreamPredictRequest(['frame' => array_shift($unwritten)]));
                }
                if ($open && !$unwritten) {
                    $call->writesDone();
                    $open = false;
                }
                $response = $call->read();
                if ($response?->hasNotice()) {
                    $this->notices[] = $response->getNotice()->getReason();
                    $unwritten = []; // write no more: half-close, and read to the end
                } elseif ($response && CallFailed::reason($response->getFailed()) !== 'DRAINING') {
                    unset($frames[$response->getSequence()]);
                    yield $response;
                }
            } while ($response);
            CallFailed::unlessOk($call->getStatus());
        } finally {
            $call->cancel();
        }
    }
}
