"""Writing modules, functions and variables into files, and reading them without running anything of what is in them."""
