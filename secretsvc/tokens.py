"""Words about tokens that several places need, whatever the format: how SOPS's look, and what a merge does to names."""

from __future__ import annotations

SOPS_MARK = b"ENC[AES256_GCM,"
"""How they all start."""

SOPS_TOKEN = r"ENC\[AES256_GCM,data:[A-Za-z0-9+/=]*,iv:[A-Za-z0-9+/=]+,tag:[A-Za-z0-9+/=]+,type:[a-z]+\]"  # noqa: S105
"""The whole shape of SOPS's tokens (https://github.com/getsops/sops, aes/cipher.go)."""

NOT_YET = "this is not done for SOPS's files yet: ksecret decrypt, get, set, unset, edit, rotate and keys work on them"
"""What to do about a whole file of SOPS's where only Secrets in other formats are worked on."""
SOPS_CUT = "what SOPS writes beside its MAC is not there, and nothing opens it so: restore the file from Git"
"""What to do about one that has lost its time, its version or its keys."""

SUFFIX = ".CONFLICT"
"""What a merge adds to a key's name. A token opens under its own name only, so nothing opens while it is in a file."""
UNMERGED = "a merge waits for you"
"""Said where a merge left two versions."""
