"""gj.keras.regularizers, under Keras's names."""

from graphjit.nn.regularizers import *
