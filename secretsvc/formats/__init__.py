"""How an envelope is laid out in a file: one module per format."""
