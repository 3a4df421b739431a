"""`make prove-neighbours`: the promises to clients of other servers, each with its figure.

`--short` takes less time over what a call costs; the promises are the same.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from neighbours_browser import browser  # noqa: E402
from neighbours_codes import wrong_inputs  # noqa: E402
from neighbours_cost import model_infer  # noqa: E402
from neighbours_rest import schemathesis  # noqa: E402
from neighbours_tensorflow import tensorflow_serving_api, tensorflow_serving_cost  # noqa: E402
from neighbours_triton import kserve, triton  # noqa: E402
from proving import prove  # noqa: E402

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # A promise is a line here and a function that gives its figure, or raises Shortfall.
    prove(
        ("Triton's client reads MNIST as Predict does", triton),
        ("KServe's client reads MNIST as Predict does", kserve),
        ("TensorFlow Serving's stubs read MNIST as Predict does", tensorflow_serving_api),
        ("wrong requests, Triton's codes", wrong_inputs),
        ("what a ModelInfer costs", partial(model_infer, short)),
        ("what a call by TensorFlow Serving's API costs", tensorflow_serving_cost),
        ("REST, by its OpenAPI document", lambda: schemathesis(short)),
        ("a page in Chromium calls Predict over gRPC-Web", browser),
    )
