"""`python -m secretsvc`: the same as `ksecret`, wherever that is installed or can't be started."""

from secretsvc.cli.main import entry_point

entry_point()
