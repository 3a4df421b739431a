"""What `make bench-peers` starts is found, frozen, weighed and ended, whole families of it."""

import sys
from pathlib import Path

import numpy as np

from benchmarks.peers.process import Tree
from benchmarks.peers.wire import DIGITS, OPEN_INFERENCE
from digitserve.v1 import digits_pb2

FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "open('up', 'w').close()\n"
    "time.sleep(60)\n"
)


def test_a_family_of_processes_is_ended_with_its_children(tmp_path: Path) -> None:
    """A child that nobody tells to stop is stopped; a frozen one too."""
    tree = Tree([sys.executable, "-c", FAMILY], {}, tmp_path)
    while not (tmp_path / "up").exists():
        assert tree.root.poll() is None
    family = tree.pids()
    pss, rss = tree.weigh()
    tree.freeze()
    tree.end()
    assert len(family) == 2
    assert 0 < pss <= rss
    assert not any(map(alive, family))


def alive(pid: int) -> bool:
    """Whether it can still do anything: a zombie cannot."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and ") Z " not in stat.read_text(encoding="utf-8")


def test_open_inference_requests_carry_the_pixels_raw() -> None:
    """The bytes of the image stand in the request as they are."""
    image = np.arange(784, dtype=np.uint8).reshape(28, 28)
    assert image.tobytes() in OPEN_INFERENCE.encode(image)


def test_open_inference_replies_are_read_raw_or_typed() -> None:
    """Both places in which the protocol allows a tensor."""
    floats = np.linspace(0, 1, 10, dtype=np.float32)
    raw = b"\x32\x28" + floats.tobytes()
    contents = b"\x32\x28" + floats.tobytes()
    tensor = b"\x2a" + bytes([len(contents)]) + contents
    typed = b"\x2a" + bytes([len(tensor)]) + tensor
    for reply in (raw, typed):
        assert OPEN_INFERENCE.decode(reply).tolist() == floats.tolist()


def test_a_digitserve_reply_is_read_as_its_probabilities() -> None:
    """Those of its one prediction."""
    prediction = digits_pb2.Prediction(digit=1, probabilities=[0.25, 0.75])
    reply = digits_pb2.PredictResponse(predictions=[prediction]).SerializeToString()
    assert DIGITS.decode(reply).tolist() == [0.25, 0.75]
