"""The report of who can open what: gathering its facts, and its forms."""
