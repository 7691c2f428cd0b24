"""The paths of the service, each a function that reads a request and answers it."""
