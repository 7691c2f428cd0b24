"""The client of a ksecret service, over HTTP."""
