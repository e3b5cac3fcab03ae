"""What is told of each epoch and batch of training."""

from .callback import *
from .deciding import *
from .writing import *
