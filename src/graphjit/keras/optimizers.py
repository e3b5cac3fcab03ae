"""gj.keras.optimizers, under Keras's names."""

from graphjit.nn.optimizers import *
