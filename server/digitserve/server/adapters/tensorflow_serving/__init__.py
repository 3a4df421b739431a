"""TensorFlow Serving's API: its callers come as they are.  TensorFlow is not needed for it."""
