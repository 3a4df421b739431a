"""Triton's C++ front end with a Python backend: the binary that nvidia-pytriton carries.

Twice: as it comes, and with its dynamic batcher, which hands calls that wait over together.
"""

import shutil
from dataclasses import replace
from functools import partial

from benchmarks.peers.peer import ROOT, SERVERS, Peer, Place, shared_libraries
from benchmarks.peers.wire import OPEN_INFERENCE

_CONFIG = """
name: "digits"
backend: "python"
instance_group [ { count: 1, kind: KIND_CPU } ]
"""
_ALONE = """
max_batch_size: 0
input [ { name: "pixels", data_type: TYPE_UINT8, dims: [ 1, 28, 28 ] } ]
output [ { name: "probabilities", data_type: TYPE_FP32, dims: [ 1, 10 ] } ]
"""
_GATHERED = """
max_batch_size: 16
dynamic_batching { }
input [ { name: "pixels", data_type: TYPE_UINT8, dims: [ 28, 28 ] } ]
output [ { name: "probabilities", data_type: TYPE_FP32, dims: [ 10 ] } ]
"""


def _command(config: str, place: Place) -> list[str]:
    carried = place.packages / "pytriton/tritonserver"
    backend = place.folder / "backends/python"
    shutil.copytree(carried / "backends/python", backend)
    stub = carried / "python_backend_stubs" / place.packages.parent.name.removeprefix("python")
    shutil.copy(stub / "triton_python_backend_stub", backend)
    model = place.folder / "models/digits"
    (model / "1").mkdir(parents=True)
    (model / "config.pbtxt").write_text(_CONFIG + config, encoding="utf-8")
    (model / "1/model.py").write_text(
        # Its stub does not look at PYTHONPATH.
        f"import sys\n\nsys.path.append({str(ROOT)!r})\n"
        f"from {SERVERS}.triton import TritonPythonModel as TritonPythonModel\n",
        encoding="utf-8",
    )
    return [
        str(carried / "bin/tritonserver"),
        f"--model-repository={model.parent}",
        f"--backend-directory={backend.parent}",
        f"--grpc-port={place.grpc}",
        "--grpc-address=127.0.0.1",
        "--allow-http=false",
        "--allow-metrics=false",
    ]


def variables(place: Place) -> dict[str, str]:
    """Where the binary finds its libraries, and its stub the environment's Python."""
    return {
        "LD_LIBRARY_PATH": f"{shared_libraries()}:{place.packages / 'nvidia_pytriton.libs'}",
        "PATH": f"{place.python.parent}:/usr/bin:/bin",
        "VIRTUAL_ENV": str(place.python.parents[1]),
    }


PEER = Peer(
    name="Triton, Python backend",
    requirements="pytriton",
    wire=OPEN_INFERENCE,
    command=partial(_command, _ALONE),
    variables=variables,
    packages=("nvidia-pytriton", "tritonclient", "grpcio", "protobuf"),
)
GATHERING = replace(PEER, name="Triton, gathering", command=partial(_command, _GATHERED))
