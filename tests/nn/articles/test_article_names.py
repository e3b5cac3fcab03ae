"""Every name of the five articles is there."""

from __future__ import annotations

import inspect
from typing import Any

import graphjit as tf

keras = tf.keras


def _found(owner: Any, names: str) -> list[Any]:
    found = []
    for name in names.split():
        target = owner
        for part in name.split("."):
            target = getattr(target, part)
        found.append(target)
    return found


def test_names_of_the_library() -> None:
    """0: the names of tensors, functions and tapes."""
    names = """__version__ Tensor Variable constant convert_to_tensor cast reshape squeeze transpose shape size zeros
    zeros_like square sqrt abs exp sin sigmoid where add subtract add_n matmul reduce_sum reduce_mean function
    GradientTape custom_gradient stop_gradient Module device TensorShape float16 float32 float64 int64 math.square
    math.log math.add math.multiply math.argmax math.reduce_sum nn.relu nn.sigmoid nn.softmax random.normal
    random.uniform optimizers.SGD optimizers.Optimizer data.Dataset TensorArray"""
    assert all(one is not None for one in _found(tf, names))


def test_names_of_members() -> None:
    """0: members of models, layers, metrics, Variables, tensors and tapes."""
    model = """compile fit evaluate predict save save_weights load_weights layers losses variables trainable_variables
    trainable_weights add_weight add_loss build call __call__ compute_output_shape get_config name"""
    _found(keras.Model, model)
    _found(keras.metrics.Metric, "update_state result reset_states reset_state add_weight get_config")
    _found(tf.Variable, "assign assign_add assign_sub numpy __add__ __matmul__ __truediv__")
    _found(tf.Tensor, "shape dtype device numpy __matmul__ __getitem__ __len__ __float__ __array__ __lt__ __pow__")
    _found(tf.GradientTape, "watch gradient stop_recording")


def test_names_that_the_articles_use_are_there() -> None:
    """0: every name of Keras and data that the articles use."""
    names = """models.Sequential models.load_model layers.Dense layers.Flatten layers.Dropout layers.InputLayer
    layers.Lambda layers.Layer losses.Loss losses.SparseCategoricalCrossentropy losses.BinaryCrossentropy
    losses.mean_absolute_error metrics.Metric metrics.Mean metrics.MeanAbsoluteError metrics.Precision optimizers.SGD
    optimizers.Nadam optimizers.Optimizer initializers.GlorotUniform regularizers.l2 activations.get
    activations.serialize backend.set_floatx Model Sequential"""
    assert all(inspect.isclass(one) or callable(one) for one in _found(keras, names))
    assert tf.optimizers.SGD is keras.optimizers.SGD and issubclass(keras.Model, tf.Module)
