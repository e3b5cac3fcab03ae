"""gj.queue: queues of tensors for several threads."""

from graphjit.tracer.queues import *
