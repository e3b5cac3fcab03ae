"""gj.keras.backend: dtypes and names that count for all layers."""

from graphjit.nn.naming import clear_session
from graphjit.nn.precision import epsilon, floatx, image_data_format, set_epsilon, set_floatx
