"""gj.keras.losses, under Keras's names."""

from graphjit.nn.losses import *
