"""Answers of servers over HTTP, by requests: none is read without an end, whoever gives it.

`requests` reads an answer whole, however long it is. Imported by backends that use it, once they call somebody.
"""

from __future__ import annotations

from requests.adapters import HTTPAdapter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_BYTES = 4 * 1024 * 1024
"""Of an answer: a list of a thousand keys takes some 100 KiB, everything else a few."""

_PIECE = 64 * 1024


class AnswerTooLongError(Exception):
    """An answer that no server of keys gives: more than MOST_BYTES, or packed, which nobody asked it for."""


class BoundedAdapter(HTTPAdapter):
    """Reads answers at once, and not more of one than MOST_BYTES."""

    def send(self, request: Any, *given: Any, **options: Any) -> Any:
        """Return the answer, read. Raises AnswerTooLongError, and what requests raises."""
        request.headers["Accept-Encoding"] = "identity"  # a few bytes could be unpacked to as many as they like
        answer = super().send(request, *given, **options)
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            answer.close()
            raise AnswerTooLongError
        content = bytearray()
        for piece in answer.iter_content(_PIECE):
            content += piece
            if len(content) > MOST_BYTES:
                answer.close()
                raise AnswerTooLongError
        answer._content = bytes(content)  # where `requests` itself keeps what it has read
        return answer
