"""The messages of foreign protocols: apart from all others, and read when they are needed."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError

from digitserve.server.adapters.descriptors import Protocol
from digitserve.server.adapters.open_inference import messages

SET = Path(messages.__file__).with_name("open_inference.binpb")


def test_a_protocol_is_not_read_before_it_is_needed(tmp_path: Path) -> None:
    """A server that nobody asks this way does not pay for it; the name is known all the same."""
    protocol = Protocol(tmp_path / "later.binpb", "inference")
    request = protocol.request("ServerLiveRequest")
    assert request.__name__ == "ServerLiveRequest"
    (tmp_path / "later.binpb").write_bytes(SET.read_bytes())
    assert request.FromString(b"") == protocol.message("ServerLiveRequest")()


def test_protocols_do_not_clash() -> None:
    """Two of the same names stand beside each other, and neither is in protobuf's own pool."""
    one, other = (Protocol(SET, "inference") for _ in range(2))
    name = "ModelInferRequest.InferInputTensor"
    assert one.message(name) is one.message(name)
    assert one.message(name) is not other.message(name)
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName(f"inference.{name}")


def test_a_request_that_is_no_message_is_said_to_be_none() -> None:
    """As by protobuf's own classes."""
    with pytest.raises(DecodeError):
        Protocol(SET, "inference").request("ModelReadyRequest").FromString(b"\xff")


def test_a_server_starts_without_reading_any() -> None:
    """What nobody asks by costs no start."""
    code = (
        "HANDLERS = 'digitserve.server.adapters.open_inference.handlers'\n"
        "from support.engines import InkEngine\n"
        "from support.serving import serving, versions_of\n"
        "from digitserve.server.adapters.open_inference.messages import PROTOCOL\n"
        "with serving(versions=versions_of(InkEngine())) as up, up.channel() as channel:\n"
        "    print(PROTOCOL.pool.cache_info().currsize, HANDLERS in sys.modules)\n"
        "    channel.unary_unary('/inference.GRPCInferenceService/ServerLive')(b'')\n"
        "    print(PROTOCOL.pool.cache_info().currsize, HANDLERS in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["0", "False", "1", "True"]
