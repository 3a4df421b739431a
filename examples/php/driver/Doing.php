<?php

declare(strict_types=1);

use Digits\CallFailed;
use Digits\Connection;
use Digits\Resuming;
use Digitserve\V1\Frame;
use Digitserve\V1\GetLimitsRequest;
use Digitserve\V1\ListVersionsRequest;
use Digitserve\V1\PredictRequest;
use Digitserve\V1\StreamOptions;
use Digitserve\V1\StreamPredictRequest;
use Google\Protobuf\Duration;
use Google\Protobuf\GPBEmpty;
use Grpc\UnaryCall;

/** One case being done; an error is an outcome as well. */
final class Doing
{
    private array $outcome = ['code' => 0];
    private readonly int $timeoutMs;
    private readonly array $callOptions;

    /**
     * @param array<string, string> $parts pixels by name
     * @param list<Connection> $connections
     */
    public function __construct(
        private readonly array $case,
        private readonly array $parts,
        private readonly array $connections,
    ) {
        $this->timeoutMs = $case['timeout_ms'] ?? 20_000;
        $this->callOptions = ['timeout' => $this->timeoutMs * 1000];
    }

    public function run(): array
    {
        $start = hrtime(true);
        try {
            match ($this->case['call']) {
                'Predict' => $this->predict(),
                'StreamPredict' => $this->stream(),
                'Resume' => $this->resume(),
                'GetLimits' => $this->limits(),
                'ListVersions' => $this->versions(),
                'Raw' => $this->raw(),
            };
        } catch (CallFailed $failed) {
            $this->outcome = Outcomes::status($failed->status) + $this->outcome;
        }
        return $this->outcome + ['elapsed_ms' => intdiv(hrtime(true) - $start, 1_000_000)];
    }

    /** @param list<string> $names */
    private function pixels(array $names): string
    {
        return implode('', array_map(fn ($name) => $this->parts[$name], $names));
    }

    /** Fields as protobuf has them: names of pixels become the bytes that they stand for. */
    private function fields(array $said): array
    {
        return ['pixels' => $this->pixels($said['pixels'] ?? [])] + $said;
    }

    private function answered(UnaryCall $call): object
    {
        [$response, $status] = $call->wait();
        CallFailed::unlessOk($status);
        return $response;
    }

    private function predict(): void
    {
        $request = new PredictRequest($this->fields($this->case['request']));
        $call = $this->connections[0]->digits->Predict($request, [], $this->callOptions);
        $this->outcome['predicted'] = Outcomes::predicted($this->answered($call));
    }

    private function raw(): void
    {
        ['method' => $method, 'hex' => $hex] = $this->case['request'];
        $call = new UnaryCall($this->connections[0]->channel, $method, [GPBEmpty::class, 'decode'], $this->callOptions);
        $call->start(new class (hex2bin($hex)) {
            public function __construct(private readonly string $bytes)
            {
            }

            public function serializeToString(): string
            {
                return $this->bytes;
            }
        });
        $this->answered($call);
    }

    private function limits(): void
    {
        $call = $this->connections[0]->models->GetLimits(new GetLimitsRequest(), [], $this->callOptions);
        $this->outcome['limits'] = Outcomes::limits($this->answered($call));
    }

    private function versions(): void
    {
        $call = $this->connections[0]->models->ListVersions(new ListVersionsRequest(), [], $this->callOptions);
        $this->outcome['versions'] = Outcomes::each(Outcomes::version(...), $this->answered($call)->getVersions());
    }

    private function stream(): void
    {
        $call = $this->connections[0]->digits->StreamPredict([], $this->callOptions);
        $this->outcome['responses'] = [];
        foreach ($this->case['send'] as $item) {
            usleep(($item['pause_ms'] ?? 0) * 1000);
            for ($left = $item['times'] ?? 1; $left > 0; $left--) {
                $call->write($this->message($item));
                if (($this->case['lockstep'] ?? false) && isset($item['frame']) && $response = $call->read()) {
                    $this->outcome['responses'][] = Outcomes::response($response);
                }
            }
        }
        $call->writesDone();
        while ($response = $call->read()) {
            $this->outcome['responses'][] = Outcomes::response($response);
        }
        CallFailed::unlessOk($call->getStatus());
    }

    private function message(array $item): StreamPredictRequest
    {
        $request = new StreamPredictRequest();
        if (isset($item['options'])) {
            $fields = $item['options'];
            if (isset($fields['max_age_ms'])) {
                $fields['max_age'] = new Duration([
                    'seconds' => intdiv($fields['max_age_ms'], 1000),
                    'nanos' => $fields['max_age_ms'] % 1000 * 1_000_000,
                ]);
                unset($fields['max_age_ms']);
            }
            $request->setOptions(new StreamOptions($fields));
        }
        if (isset($item['frame'])) {
            $request->setFrame(new Frame($this->fields($item['frame'])));
        }
        return $request;
    }

    private function resume(): void
    {
        $servers = array_map(fn ($connection) => $connection->digits, $this->connections);
        $resuming = new Resuming($servers, $this->case['in_flight'], $this->timeoutMs / 1000);
        $each = array_map($this->pixels(...), $this->case['pixels']);
        $frames = [];
        for ($at = 0; $at < $this->case['frames']; $at++) {
            $frames[] = new Frame(['frame_id' => "frame-$at", 'pixels' => $each[$at % count($each)]]);
        }
        $this->outcome['outcomes'] = [];
        try {
            foreach ($resuming->outcomes($frames) as $response) {
                $this->outcome['outcomes'][] = array_diff_key(Outcomes::response($response), ['sequence' => 0]);
            }
        } finally {
            $this->outcome += ['streams' => $resuming->streams, 'notices' => $resuming->notices];
        }
    }
}
