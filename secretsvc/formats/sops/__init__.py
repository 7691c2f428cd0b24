"""SOPS's format (https://github.com/getsops/sops): a tree's leaves are sealed, with one data key and one MAC a file."""
