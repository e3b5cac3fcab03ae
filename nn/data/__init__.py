"""Datasets: elements one after the other."""

from .dataset import *
