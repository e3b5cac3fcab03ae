"""The passes, one file each: a pass takes a verified graph and returns one."""
