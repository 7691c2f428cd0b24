"""The REST service: what callers send, whether they may, and how it is done and written down."""
