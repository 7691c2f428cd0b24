"""The REST service's room. Nothing is built here yet."""
