"""gj.keras: layers, models and what belongs to them, under Keras's names."""

from graphjit.keras import (
    activations,
    backend,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    utils,
)
from graphjit.nn.layers import Input, KerasTensor
from graphjit.nn.models import Model, Sequential
