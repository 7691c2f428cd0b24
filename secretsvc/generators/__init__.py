"""Secrets from files, env files, certificates and passwords, as kubectl makes them; nothing here prints or exits."""
