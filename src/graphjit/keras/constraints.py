"""gj.keras.constraints, under Keras's names."""

from graphjit.nn.constraints import *
