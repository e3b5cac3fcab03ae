"""gj.keras.models, under Keras's names."""

from graphjit.nn.models import *
from graphjit.nn.models.copying import clone_model, model_from_json
