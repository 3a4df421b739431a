<?php

declare(strict_types=1);

namespace Digits;

use Digitserve\V1\DigitServiceClient;
use Digitserve\V1\ModelServiceClient;
use Grpc\Channel;
use Grpc\ChannelCredentials;

/** A channel to a digitserve server, and the stubs that share it. */
final class Connection
{
    private const RETRY = [
        'methodConfig' => [[
            'name' => [['service' => 'digitserve.v1.DigitService', 'method' => 'Predict']],
            'retryPolicy' => [
                'maxAttempts' => 4,
                'initialBackoff' => '0.1s',
                'maxBackoff' => '2s',
                'backoffMultiplier' => 2,
                // `grpc-retry-pushback-ms` says when a full queue is worth another try.
                'retryableStatusCodes' => ['UNAVAILABLE', 'RESOURCE_EXHAUSTED'],
            ],
        ]],
    ];

    public readonly DigitServiceClient $digits;
    public readonly ModelServiceClient $models;
    public readonly Channel $channel;

    /**
     * Opens it: in plain text, or over TLS that trusts a certificate alone, with a bearer token for each call.
     *
     * @param string|null $ca a PEM file
     * @throws \InvalidArgumentException if the token would be sent in plain text, or there is no such file
     */
    public function __construct(string $address, ?string $ca = null, ?string $token = null)
    {
        if ($ca === null && $token !== null) {
            throw new \InvalidArgumentException('a token is sent over TLS only');
        }
        $this->channel = new Channel($address, [
            'credentials' => $ca === null
                ? ChannelCredentials::createInsecure()
                : ChannelCredentials::createSsl(self::read($ca)),
            'grpc.service_config' => json_encode(self::RETRY),
            'grpc.max_send_message_length' => -1, // the server says what is too long
            'grpc.max_receive_message_length' => -1,
            'force_new' => true, // else PHP keeps it, open, for whoever asks for the same again
        ]);
        $options = $token === null ? [] : [
            'update_metadata' => fn (array $metadata): array => $metadata + ['authorization' => ["Bearer $token"]],
        ];
        $this->digits = new DigitServiceClient($address, $options, $this->channel);
        $this->models = new ModelServiceClient($address, $options, $this->channel);
    }

    public function close(): void
    {
        $this->channel->close();
    }

    private static function read(string $file): string
    {
        return @file_get_contents($file) ?: throw new \InvalidArgumentException("$file cannot be read");
    }
}
