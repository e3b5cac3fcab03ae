"""One module a framework: its version of each workload, as one who knows the framework would write it."""
