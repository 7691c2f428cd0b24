"""ksecret: encrypts the data fields of Kubernetes Secret manifests.

The import package of the distribution `secretsvc`, whose command is `ksecret`. It imports nothing at import time,
so that each face (command line, service, generators) pays for what it uses and no more.
"""

__version__ = "0.1.0"
