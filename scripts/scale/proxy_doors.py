"""What a proxy lets in, keeps out and says of it: TLS on both sides, floods, browsers, the log."""

import json
import os
import re
import ssl
import subprocess
import time
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from digitserve.client import DigitClient, ResourceExhausted, Unavailable
from digitserve.client.errors import CallError
from digitserve.v1 import digits_pb2, digits_pb2_grpc
from proving import Shortfall, expect
from scale.hosts import Network
from scale.loads import pictures
from scale.proxies import PROXY_PORT, Proxy, Servers, site
from scale.proxy_kinds import ENVOY, NAME, PORT, Keys, Kind
from support.web import PREDICT, framed, frames, trailers

# Calls a second, of which a proxy takes no more in the test, in place of what its file says.
_FEW = 5
_LIMITS = {
    "max_tokens: 20000, tokens_per_fill: 1000, fill_interval: 0.1s": f"max_tokens: {_FEW}, "
    f"tokens_per_fill: {_FEW}, fill_interval: 1s",
    "sc0_http_req_rate gt 10000": f"sc0_http_req_rate gt {_FEW}",
}
_ORIGIN = "https://digits.example"
# Seconds for a line to be written.
_LOGGED_S = 12.0


def accepted(_: Network, *kinds: Kind) -> str:
    """Each proxy's own checker takes its committed file."""
    told = []
    for kind in kinds:
        with TemporaryDirectory() as folder:
            done = subprocess.run(
                kind.check(kind.configured(Keys(Path(folder)))),
                capture_output=True,
                text=True,
                env=os.environ | kind.libraries(),
                check=False,
            )
        said = (done.stdout + done.stderr).strip()
        loud = [each for each in said.splitlines() if re.search("(?i)warning|alert|error", each)]
        told.append(f"{kind.name}: {said.splitlines()[-1] if said else 'valid'}")
        if done.returncode or loud:
            raise Shortfall(f"{kind.name}: {said}")
    return "; ".join(told)


def doors(network: Network, *kinds: Kind) -> str:
    """Who is let in by TLS, who is not; what the log says of a call that failed."""
    with site(network, *kinds) as (servers, proxies):
        told = [_trust(each) + "; " + _logged(each) for each in proxies]
        told.append(_mutual(servers))
        if any(each.kind is ENVOY for each in proxies):
            told.append(_browser(proxies[0]))
    return "\n    ".join(told)


def _trust(up: Proxy) -> str:
    with up.client() as trusting:
        digit = trusting.predict(pictures()[7]).digit
    refused = [
        _refused(DigitClient(up.address, tls=True)),
        _refused(DigitClient(up.address)),
    ]
    return expect(
        digit == 7 and all(refused),
        f"{up.kind.name}: who trusts it is answered; who does not, or speaks plain text, "
        f"{'is not' if all(refused) else 'IS'}",
    )


def _refused(client: DigitClient) -> bool:
    with client:
        try:
            client.predict(pictures()[7], timeout=3.0)
        except Unavailable:
            return True
    return False


def _mutual(servers: Servers) -> str:
    """Past the proxies nobody gets an answer."""
    address = f"{servers.network.host('one').address}:{PORT}"
    inside = grpc.ssl_channel_credentials(servers.keys.inside.path.read_bytes())
    named = [("grpc.ssl_target_name_override", NAME)]
    channels = {
        "in plain text": grpc.insecure_channel(address),
        "by TLS without a certificate": grpc.secure_channel(address, inside, named),
    }
    for how, channel in channels.items():
        with channel:
            try:
                _predict(channel)
            except grpc.RpcError:
                continue
            raise Shortfall(f"a server answered a call {how}, past the proxies")
    return f"servers past the proxies, {' and '.join(channels)}: no answer"


def _predict(channel: grpc.Channel, pixels: bytes = bytes(784)) -> Any:
    stub: Any = digits_pb2_grpc.DigitServiceStub(channel)
    return stub.Predict(digits_pb2.PredictRequest(pixels=pixels), timeout=3.0)


# --- the log -------------------------------------------------------------------------------------


def _logged(up: Proxy) -> str:
    with up.channel() as channel:
        try:
            _predict(channel, b"short")
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
    until = time.monotonic() + _LOGGED_S
    while time.monotonic() < until:
        for line in up.log.read_text(encoding="utf-8").splitlines():
            if PREDICT in line and line.startswith("{"):
                said = json.loads(line)
                if said["grpc_status"] in {"INVALID_ARGUMENT", "3"}:
                    return f"its log: {said['method']} {said['grpc_status']}"
        time.sleep(0.2)
    raise Shortfall(f"{up.kind.name} logged nothing: {up.log.read_text('utf-8')[-1000:]}")


# --- floods --------------------------------------------------------------------------------------


def floods(network: Network, *kinds: Kind) -> str:
    """Above its bound a proxy refuses as the server does, and our client waits and comes back."""

    def few(text: str) -> str:
        for was, now in _LIMITS.items():
            text = text.replace(was, now)
        return text

    with site(network, *kinds, changed=few) as (_, proxies):
        return "\n    ".join(_flooded(each) for each in proxies)


def _flooded(up: Proxy) -> str:
    refused = _until_refused(up)
    error = CallError.from_rpc_error(refused)
    pushback = dict(refused.trailing_metadata()).get("grpc-retry-pushback-ms")
    begun = time.monotonic()
    with up.client() as client:
        for _ in range(_FEW + 2):  # more than may come in a second
            client.predict(bytes(784))
    taken = time.monotonic() - begun
    return expect(
        isinstance(error, ResourceExhausted)
        and (error.reason, error.retry_after, pushback) == ("RATE_EXCEEDED", 1.0, "1000"),
        f"{up.kind.name} above its bound: {error.code.name} {error.reason}, RetryInfo "
        f"{error.retry_after} s, pushback {pushback} ms; {_FEW + 2} calls of the client at a bound "
        f"of {_FEW} a second: all answered, in {taken:.1f} s",
    )


def _until_refused(up: Proxy) -> Any:
    with up.channel() as channel:
        for _ in range(4 * _FEW):
            try:
                _predict(channel)
            except grpc.RpcError as error:
                return error
    raise Shortfall(f"{up.kind.name} let in {4 * _FEW} calls of {_FEW} a second")


# --- browsers ------------------------------------------------------------------------------------


def _browser(up: Proxy) -> str:
    """gRPC-Web over HTTP/1.1 and TLS, as a page sends it, and what its browser asks before."""
    context = ssl.create_default_context(cafile=str(up.keys.callers.path))
    body = framed(digits_pb2.PredictRequest(pixels=pictures()[3]))
    asked = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": _ORIGIN}
    before = {"origin": _ORIGIN, "access-control-request-method": "POST"}
    response, said = _https(context, "POST", body, asked)
    found = frames(said)
    digit = digits_pb2.PredictResponse.FromString(found[0][1]).predictions[0].digit
    status = trailers(found).get("grpc-status")
    allowed = [
        _https(context, "OPTIONS", b"", before | {"origin": each})[0].getheader(
            "access-control-allow-origin"
        )
        for each in (_ORIGIN, "https://elsewhere.example")
    ]
    return expect(
        (digit, status, response.status, allowed) == (3, "0", 200, [_ORIGIN, None]),
        f"gRPC-Web through Envoy: HTTP {response.status}, grpc-status {status}, a {digit}; CORS: "
        f"pages of {allowed[0]}, nobody else's",
    )


def _https(
    context: ssl.SSLContext, method: str, body: bytes, headers: dict[str, str]
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPSConnection(ENVOY.name, PROXY_PORT, timeout=10, context=context)
    connection.request(method, PREDICT, body, headers)
    response = connection.getresponse()
    said = response.read()
    connection.close()
    return response, said
