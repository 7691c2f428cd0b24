"""Throw-away GnuPG homes with real keys, for tests. Each has its own agent, which is ended with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

import gnupg

from secretsvc.backends.base import Settings
from secretsvc.backends.gnupg.backend import GnuPG

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_AGO = "20200101T000000"
_TERMINAL = ("GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")


class Asked(list[str]):
    """A source of passphrases that notes what it was asked for."""

    def __init__(self, answer: bytes | None) -> None:
        super().__init__()
        self._answer = answer

    def __call__(self, what: str) -> bytes | None:
        self.append(what)
        return self._answer


class GpgHome:
    """A GNUPGHOME at a short path: the agent's socket in it may have about 100 characters."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="kg")
        self.environ = {name: value for name, value in os.environ.items() if name not in _TERMINAL}
        self.environ |= {"GNUPGHOME": self.path, "HOME": self.path}
        self.configure()

    def gpg(self, *arguments: str, data: bytes = b"", fails: bool = False) -> bytes:
        """Runs the real gpg, and gives its standard output; AssertionError unless it ends as expected."""
        command = ["gpg", "--batch", "--no-tty", "--quiet", "--trust-model", "always", *arguments]
        for _ in range(3):
            done = subprocess.run(command, input=data, capture_output=True, env=self.environ, check=False, timeout=60)
            if b"Corrupted protection" not in done.stderr:
                break  # else, now and then, a new agent on a busy machine can't read the key that it has just made
        assert fails or done.returncode == 0, done.stderr.decode()
        return done.stdout

    def status(self, *arguments: str, data: bytes = b"") -> str:
        """Gpg's status lines for a call that may fail; its output is thrown away."""
        return self.gpg("--status-fd", "1", "--output", os.devnull, "--yes", *arguments, data=data, fails=True).decode()

    def make_key(
        self, name: str, algorithm: str = "ed25519", usage: str = "sign", expires: str = "never", *options: str,
        passphrase: str = "",
    ) -> str:  # fmt: skip
        """A primary key's fingerprint."""
        self._with(passphrase, *options, "--quick-gen-key", name, algorithm, usage, expires)
        return self.fingerprints(name)[0]

    def add_encryption(
        self, key: str, algorithm: str = "cv25519", expires: str = "never", *options: str, passphrase: str = ""
    ) -> str:
        """A new encryption subkey's fingerprint."""
        self._with(passphrase, *options, "--quick-add-key", key, algorithm, "encr", expires)
        return self.fingerprints(key)[-1]

    def make_pair(self, name: str, passphrase: str = "") -> str:
        """An ed25519 key with a cv25519 subkey: what gpg makes by default."""
        key = self.make_key(name, passphrase=passphrase)
        self.add_encryption(key, passphrase=passphrase)
        return key

    def fingerprints(self, key: str) -> list[str]:
        """Of the primary key, then of its subkeys."""
        found = gnupg.GPG(env=self.environ).list_keys(keys=key)
        return [
            fingerprint for one in found for fingerprint in (one["fingerprint"], *(sub[2] for sub in one["subkeys"]))
        ]

    def revoke(self, key: str) -> None:
        """Imports the revocation certificate that gpg made with the key."""
        with open(os.path.join(self.path, "openpgp-revocs.d", f"{key}.rev"), "rb") as stream:
            self.gpg("--import", data=stream.read().replace(b":-----BEGIN", b"-----BEGIN"))

    def disable(self, key: str) -> None:
        """Marks a key as disabled, as `gpg --edit-key` does."""
        self.gpg("--command-fd", "0", "--edit-key", key, data=b"disable\nsave\n")

    def learn(self, other: GpgHome, *keys: str) -> None:
        """Imports public keys from another home."""
        self.gpg("--import", data=other.gpg("--export", *keys))

    def configure(self, *lines: str, agent: tuple[str, ...] = ()) -> None:
        """Writes gpg.conf and gpg-agent.conf, and ends the agent. Locking keys takes less work than it should."""
        for name, content in (("gpg.conf", lines), ("gpg-agent.conf", ("s2k-count 65536", *agent))):
            with open(os.path.join(self.path, name), "w", encoding="utf-8") as stream:
                stream.writelines(f"{line}\n" for line in content)
        self.forget()

    def forget(self) -> None:
        """Ends the agent, and with it its cache of passphrases; gpg starts another."""
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=self.environ, check=True, capture_output=True)

    def backend(
        self,
        passphrase: Callable[[str], bytes | None] = lambda _what: None,
        *,
        keyring: str = "",
        require_signature: bool = False,
        **variables: str,
    ) -> GnuPG:
        """The backend under test with this home."""
        return GnuPG(Settings(self.environ | variables, passphrase, keyring, require_signature))

    def close(self) -> None:
        """Ends the agent and removes everything."""
        self.forget()
        shutil.rmtree(self.path, ignore_errors=True)

    def _with(self, passphrase: str, *arguments: str) -> None:
        self.gpg("--pinentry-mode", "loopback", "--passphrase", passphrase, *arguments)
