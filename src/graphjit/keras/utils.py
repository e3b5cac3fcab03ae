"""gj.keras.utils: names of objects of one's own, seeds, one-hot labels."""

from graphjit.nn.byname import (
    custom_object_scope,
    custom_object_scope as CustomObjectScope,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from graphjit.nn.labels import normalize, to_categorical
from graphjit.tracer.generator import set_seed as set_random_seed
