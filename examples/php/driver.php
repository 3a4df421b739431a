<?php

// Does what the conformance cases say and prints what came of it: ../conformance/README.md.

declare(strict_types=1);

use Digits\CallFailed;
use Digits\Connection;
use Digitserve\V1\PredictRequest;

require __DIR__ . '/autoload.php';
require __DIR__ . '/driver/Outcomes.php';
require __DIR__ . '/driver/Doing.php';

/** Does every case. */
function run(string $casesFile, string $serversFile): array
{
    $file = json_decode(file_get_contents($casesFile), true, flags: JSON_THROW_ON_ERROR);
    $servers = json_decode(file_get_contents($serversFile), true, flags: JSON_THROW_ON_ERROR);
    $parts = array_map(fn ($part) => str_repeat(hex2bin($part['hex']), $part['times'] ?? 1), $file['pixels']);
    $outcomes = [];
    foreach ($file['cases'] as $case) {
        $connections = array_map(function (string $name) use ($servers, $case): Connection {
            $server = $servers[$name];
            return new Connection($server['address'], $server['ca'] ?? null, $case['token'] ?? null);
        }, $case['servers']);
        $outcomes[$case['name']] = (new Doing($case, $parts, $connections))->run();
        array_walk($connections, fn (Connection $connection) => $connection->close());
    }
    return $outcomes;
}

/** Times Predicts, one after the other. */
function latency(string $address, string $calls): array
{
    $connection = new Connection($address);
    $request = new PredictRequest(['pixels' => implode('', array_map(chr(...), range(0, 783)))]);
    $times = [];
    for ($left = 200 + (int) $calls; $left > 0; $left--) {
        $start = hrtime(true);
        [, $status] = $connection->digits->Predict($request, [], ['timeout' => 5_000_000])->wait();
        $times[] = intdiv(hrtime(true) - $start, 1000);
        CallFailed::unlessOk($status);
    }
    $times = array_slice($times, 200);
    sort($times);
    $count = count($times);
    return ['calls' => $count, 'p50_us' => $times[intdiv($count, 2)], 'p99_us' => $times[intdiv($count * 99, 100)]];
}

if ($argc !== 4 || !in_array($argv[1], ['run', 'latency'], true)) {
    fwrite(STDERR, "driver: expected `run CASES SERVERS` or `latency ADDRESS CALLS`\n");
    exit(1);
}
echo json_encode($argv[1]($argv[2], $argv[3]), JSON_THROW_ON_ERROR), "\n";
