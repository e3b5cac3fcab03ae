"""graphjit: functions of tensors, traced once and run as native kernels on the CPU."""

import os as _os

# When the layers are links (a checkout), name the real files in tracebacks
# and breakpoints: the folder that one edits comes first.
_link = _os.path.join(_os.path.dirname(__file__), "compiler")
if _os.path.islink(_link):
    __path__.insert(0, _os.path.dirname(_os.path.realpath(_link)))

__version__ = "0.1.0"
