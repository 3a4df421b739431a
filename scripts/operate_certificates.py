"""Certificates replaced under load: nobody's call fails, and new connections see the new one."""

import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509

from digitserve.v1 import digits_pb2, digits_pb2_grpc
from proving import expect
from support.command import server_command
from support.keys import Authority

_STEADY, _ANEW = 2, 2  # threads that keep their connection, and that open one for each call
_LATEST_S = 10.0


@dataclass
class _Asked:
    """What came of the callers."""

    calls: int = 0
    connections: int = 0
    faults: list[str] = field(default_factory=list)


def certificates_swapped(short: bool) -> str:
    """Certificate and key replaced again and again while callers ask and connect."""
    swaps = 20 if short else 60
    seen: list[int] = []
    took: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        authority = Authority("authority", folder)
        cert, key = folder / "server.pem", folder / "server.key"
        first = _put(authority, 0, cert, key)
        flags = ("--tls-cert", str(cert), "--tls-key", str(key))
        with server_command(*flags, log=subprocess.DEVNULL) as command:
            port = int(command.address.rpartition(":")[2])
            assert _serial(port, authority) == first
            over, asked = threading.Event(), _Asked()
            callers = _callers(f"localhost:{port}", authority.path.read_bytes(), over, asked)
            try:
                for number in range(1, swaps + 1):
                    new, begun = _put(authority, number, cert, key), time.monotonic()
                    seen.append(_seen(lambda: _serial(port, authority), new))
                    took.append(time.monotonic() - begun)
            finally:
                over.set()
                for each in callers:
                    each.join()
    missed = sum(not each for each in seen)
    fault = f"; first fault: {asked.faults[0]}" if asked.faults else ""
    return expect(
        not missed and not asked.faults and asked.connections >= swaps,
        f"{swaps} swaps, each seen by new connections after at most {max(took):.1f} s, {missed} "
        f"not; {asked.calls} calls, {asked.connections} new connections, "
        f"{len(asked.faults)} failed{fault}",
    )


def _put(authority: Authority, number: int, cert: Path, key: Path) -> int:
    """Puts a new certificate with a key of its own there; gives its serial number."""
    made = authority.issue(f"number {number}", "localhost")
    for source, target in zip(made, (cert, key), strict=True):
        partial = target.with_suffix(".partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
    return x509.load_pem_x509_certificate(cert.read_bytes()).serial_number


def _serial(port: int, authority: Authority) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=authority.path)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as shown,
    ):
        certificate = shown.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def _seen(serial: Callable[[], int], expected: int) -> bool:
    """Whether new connections come to see a certificate."""
    give_up = time.monotonic() + _LATEST_S
    while serial() != expected:
        if time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True


def _callers(
    address: str, authority: bytes, over: threading.Event, asked: _Asked
) -> list[threading.Thread]:
    """Starts threads that ask until it is over."""
    credentials = grpc.ssl_channel_credentials(authority)
    # Nothing is tried twice: a call that failed is to be seen.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    request = digits_pb2.PredictRequest(pixels=bytes(784))

    def ask(channel: Any) -> None:
        try:
            digits_pb2_grpc.DigitServiceStub(channel).Predict(request, timeout=10)
            asked.calls += 1
        except grpc.RpcError as error:
            asked.faults.append(f"{error.code().name}: {error.details()}")

    def steady() -> None:
        with grpc.secure_channel(address, credentials, options) as channel:
            while not over.is_set():
                ask(channel)
                time.sleep(0.005)

    def anew() -> None:
        while not over.is_set():
            with grpc.secure_channel(address, credentials, options) as channel:
                ask(channel)
                asked.connections += 1

    ways = [steady] * _STEADY + [anew] * _ANEW
    threads = [threading.Thread(target=way) for way in ways]
    for each in threads:
        each.start()
    return threads
