"""gj.keras.metrics, under Keras's names."""

from graphjit.nn.metrics import *
