"""Requests that came whole in one read: where they go is all that has to be known of one that finds no place."""

from __future__ import annotations

import re
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

MOST = 16 * 1024
"""Bytes of one."""

_PLAIN = re.compile(rb"(/[\w./-]*)(?:\?[^#]*)?")


def path_of(url: bytes) -> str:
    """Return the path as uvicorn has it. Raises HttpParserInvalidURLError."""
    found = _PLAIN.fullmatch(url)
    return found[1].decode("ascii") if found else unquote(parse_url(url).path.decode("ascii"))


class WholePosts:
    """Reader of POSTs that are there whole, by the parser that reads all others, so that they end where it says.

    It asks for no headers, so these are parsed and nothing is made of them. One serves every connection of a port: it
    remembers nothing from one to the next.
    """

    def __init__(self) -> None:
        self._begin_anew()

    def path(self, data: bytes) -> str:
        """Return the path of the POST that this is, and nothing more, after which its connection stays open.

        Else return "": the bytes are to be read as any others.
        """
        if len(data) > MOST or not data.startswith(b"POST /"):
            return ""
        self._url, self._begun, self._path = b"", 0, ""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._path = ""
        if not (self._path and self._begun == 1):
            self._begin_anew()  # else what is missing would be looked for in the next
        return self._path

    def on_message_begin(self) -> None:
        """Begin a request; the parser calls it, and the following."""
        self._begun += 1
        self._path = ""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        if self._parser.get_http_version() == "1.1" and self._parser.should_keep_alive():
            self._path = path_of(self._url)

    def _begin_anew(self) -> None:
        self._url, self._begun, self._path = b"", 0, ""
        self._parser = HttpRequestParser(self)
