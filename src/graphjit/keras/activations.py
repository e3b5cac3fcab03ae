"""gj.keras.activations, under Keras's names."""

from graphjit.nn.activations import *
