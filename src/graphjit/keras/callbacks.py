"""gj.keras.callbacks, under Keras's names."""

from graphjit.nn.callbacks import *
