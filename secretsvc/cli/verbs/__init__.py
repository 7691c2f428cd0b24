"""One module per command; each has its `add_arguments` and its `run`."""
