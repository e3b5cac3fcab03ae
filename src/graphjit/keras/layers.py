"""gj.keras.layers, under Keras's names."""

from graphjit.nn.layers import *
from graphjit.nn.layers import deserialize, serialize
