"""Authentication: callers by static bearer tokens, of which only hashes are known, and by JWTs."""
