"""The one door through which TensorFlow and Keras come in: late, quiet and whole.

Late, because importing TensorFlow takes seconds: modules that need it import this one, and
the command imports them only once there is something to do.  Quiet: see `quiet.py`.  Whole,
because a missing part is told in one line.
"""

import os

from digitserve.trainer.quiet import hushed

# The compiler takes TensorFlow graphs: a user's choice of JAX or Torch would fail at the end.
os.environ["KERAS_BACKEND"] = "tensorflow"
with hushed():
    import keras
    import tensorflow

__all__ = ["keras", "tensorflow"]
