"""`/metrics`: what a Prometheus server sees of the versions."""

import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from digitserve.server.addresses import AddressError
from digitserve.server.observe.metrics import serve_metrics
from digitserve.v1 import digits_pb2
from support.command import failed_command
from support.models import CONFIG, place, watching
from support.serving import serving
from support.talk import BLANK


def test_versions_are_told_as_they_are(tmp_path: Path) -> None:
    """States, images answered, who is stable, refusals: at each look anew."""
    place(tmp_path, 1, 2)
    with watching(tmp_path) as up, up.digits() as stub:
        address, stop = serve_metrics("127.0.0.1:0", up.server.registry)
        try:
            stub.Predict(digits_pb2.PredictRequest(pixels=BLANK * 3, count=3))
            place(tmp_path, 3)
            (tmp_path / "3" / "model.tflite").write_bytes(b"")
            up.run(up.server.watch.look())
            with urllib.request.urlopen(f"http://{address}/metrics") as response:
                told = set(response.read().decode().splitlines())
        finally:
            stop()
    assert told >= {
        'digitserve_version{state="ready",version="1"} 1.0',
        'digitserve_version{state="refused",version="3"} 1.0',
        'digitserve_version_images_total{version="2"} 3.0',
        "digitserve_stable_version 2.0",
        "digitserve_versions_refused_total 1.0",
        "digitserve_rollbacks_total 0.0",
    }


def test_an_address_that_is_taken_is_named() -> None:
    """As one of the server's own would be: exit code 3, one line."""
    with serving() as up:
        with pytest.raises(AddressError, match=f"^{up.address}: "):
            serve_metrics(up.address, up.server.registry)
        code, said = failed_command("--address", "127.0.0.1:0", "--metrics", up.address)
        assert code == 3
        assert said.splitlines()[-1].startswith(f"digitserve-server: {up.address}: ")
    with pytest.raises(AddressError, match="expected host:port"):
        serve_metrics("nowhere", up.server.registry)


def test_the_server_serves_and_stops_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says which extra is missing, if it is."""
    with serving(replace(CONFIG, models=None, metrics="127.0.0.1:0")):
        pass
    monkeypatch.setitem(sys.modules, "digitserve.server.observe.metrics", None)
    with (
        pytest.raises(Exception, match=r"pip install 'digitserve\[metrics\]'"),
        serving(replace(CONFIG, models=None, metrics="127.0.0.1:0")),
    ):
        pass
