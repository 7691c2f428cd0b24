"""Prints the CPU milliseconds from an imported SDK of AWS's to the first DEK: session, credentials, client, and call.

`python -m benchmarks.first_call FILE`, a manifest that AWS KMS's key alone opens. Of a whole process that can't be told
by the difference to another one: what the SDK's import takes hangs on what is imported already, and from where.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from time import process_time

import boto3.session  # noqa: F401 - what this is not about
import botocore.config  # noqa: F401

from secretsvc import formats
from secretsvc.backends.aws_kms.backend import AwsKms
from secretsvc.backends.base import Settings
from secretsvc.manifest.reader import read


def main(path: str) -> None:
    """Opens the DEK, and prints."""
    manifest = read(Path(path).read_bytes())
    (key,) = formats.of(manifest).read(manifest, manifest.secrets[0]).keys
    gc.set_threshold(100_000)  # as the command has it
    start = process_time()
    AwsKms(Settings(os.environ, lambda _: None)).unwrap(key.ref, key.wrapped, key.context)
    print((process_time() - start) * 1e3)


if __name__ == "__main__":
    main(sys.argv[1])
