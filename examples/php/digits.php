<?php

// Reads 28x28 grey images: `php digits.php [options] predict FILE`, or `stream FILE [FRAMES]`.

declare(strict_types=1);

use Digits\CallFailed;
use Digits\Connection;
use Digits\Resuming;
use Digitserve\V1\Frame;
use Digitserve\V1\PredictRequest;

require __DIR__ . '/autoload.php';

/** Asks about one image, with a deadline. */
function predict(Connection $connection, string $pixels): void
{
    $request = new PredictRequest(['pixels' => $pixels]);
    [$response, $status] = $connection->digits->Predict($request, [], ['timeout' => 5_000_000])->wait();
    CallFailed::unlessOk($status);
    $prediction = $response->getPredictions()[0];
    printf(
        "%d %.3f (version %d)\n",
        $prediction->getDigit(),
        $prediction->getConfidence(),
        $response->getModelVersion(),
    );
}

/** Sends numbered frames; every seventh is malformed and fails alone. */
function stream(Connection $connection, string $pixels, int $count): void
{
    $frames = [];
    for ($number = 0; $number < $count; $number++) {
        $frames[] = new Frame([
            'frame_id' => (string) $number,
            'pixels' => $number % 7 === 6 ? substr($pixels, 0, 700) : $pixels,
        ]);
    }
    foreach ((new Resuming([$connection->digits]))->outcomes($frames) as $response) {
        match ($response->getOutcome()) {
            'predicted' => printf(
                "%s: %d\n",
                $response->getFrameId(),
                $response->getPredicted()->getPredictions()[0]->getDigit(),
            ),
            'failed' => printf("%s: %s\n", $response->getFrameId(), $response->getFailed()->getMessage()),
            default => null,
        };
    }
}

/** @param list<string> $arguments */
function main(array $arguments): void
{
    if (!extension_loaded('grpc')) {
        throw new RuntimeException('needs the extension grpc');
    }
    $options = getopt('', ['address:', 'ca:', 'token:'], $at);
    [$call, $file, $frames] = array_slice($arguments, $at) + ['', '', '20'];
    if (!in_array($call, ['predict', 'stream'], true) || !ctype_digit($frames)) {
        throw new InvalidArgumentException('expected [--address ADDRESS] [--ca FILE] [--token TOKEN]'
            . ' predict FILE | stream FILE [FRAMES]');
    }
    // A binary PGM ends with its pixels; so do 784 raw bytes.
    $pixels = substr(@file_get_contents($file) ?: throw new InvalidArgumentException("$file cannot be read"), -784);
    $connection = new Connection(
        $options['address'] ?? '127.0.0.1:50051',
        $options['ca'] ?? null,
        $options['token'] ?? null,
    );
    $call === 'predict' ? predict($connection, $pixels) : stream($connection, $pixels, (int) $frames);
}

try {
    main($argv);
} catch (CallFailed $failed) {
    fwrite(STDERR, "digits: code {$failed->getCode()}: {$failed->getMessage()}\n");
    exit(1);
} catch (InvalidArgumentException | RuntimeException $mistake) {
    fwrite(STDERR, "digits: {$mistake->getMessage()}\n");
    exit(1);
}
