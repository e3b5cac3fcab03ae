"""Models: layers that can be trained, asked and saved."""

from .model import *
from .saving import *
from .sequential import *
