"""gj.keras.models, under Keras's names."""

from graphjit.nn.models import *
