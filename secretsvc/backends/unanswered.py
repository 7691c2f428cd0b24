"""Calls over HTTP that came to no answer, and why, in words for people. Nothing of what a library says gets out."""

from __future__ import annotations

from secretsvc.backends.tries import class_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NO_NAME = "its name can't be resolved"
_REFUSED = "the connection was refused"

_TLS: Mapping[str, str] = {
    "hostname mismatch": "its certificate is for another host",
    "ip address mismatch": "its certificate is for another host",
    "certificate has expired": "its certificate has expired",
    "certificate is not yet valid": "its certificate is not valid yet",
    "certificate_verify_failed": "nobody that is trusted here vouches for its certificate",
    "certificate required": "it wants a client certificate",
    "certificate_required": "it wants a client certificate",
    "bad certificate": "it does not accept the client certificate",
    "wrong_version_number": "it does not speak TLS",
    "record layer failure": "it does not speak TLS",
}
"""By what stands in OpenSSL's text, in small letters."""

_SILENCE: Mapping[str, str] = {
    "ProxyError": "the proxy refuses or fails",
    "NameResolutionError": NO_NAME,
    "ReadTimeoutError": "it did not answer in time",
    "NewConnectionError": "the connection failed",
    "ConnectTimeoutError": "the connection was not made in time",
}
"""By the class of urllib3's exception, the telling ones first."""


class NoAnswerError(Exception):
    """No answer, or not a whole one: nobody was there, TLS failed, or the time was over."""

    def __init__(self, why: str, *, is_of_tls: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.is_of_tls = is_of_tls
        """Whether another try would come to the same."""


def no_answer(error: Exception) -> NoAnswerError:
    """Return why urllib3 or the standard library got none."""
    names, text = class_names(error), str(error).lower()
    of_tls = next((words for sign, words in _TLS.items() if sign in text), "")
    if of_tls or "SSLError" in names or "sslerror" in text:
        return NoAnswerError(of_tls or "TLS fails", is_of_tls=True)
    if "ProxyError" not in names and "connection refused" in text:
        return NoAnswerError(_REFUSED)
    return NoAnswerError(next((words for name, words in _SILENCE.items() if name in names), "the connection failed"))
