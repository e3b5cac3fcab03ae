"""gj.keras.initializers, under Keras's names."""

from graphjit.nn.initializers import *
