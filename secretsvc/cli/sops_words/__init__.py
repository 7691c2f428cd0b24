"""`ksecret-sops`, `ksecret sops`: the command line of sops, its words and its exit codes, on ksecret's operations.

https://github.com/getsops/sops/blob/main/cmd/sops/main.go. What differs on purpose is listed in docs/sops.md.
"""
