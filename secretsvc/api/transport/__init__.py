"""Sockets, TLS, processes and connections: everything around uvicorn that it leaves to a proxy or to nobody."""
