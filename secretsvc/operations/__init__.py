"""Seal, open and what follows from them: the only place where manifest, envelope, formats and backends meet."""
