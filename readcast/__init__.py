"""Readcast in Python: a client for bots, tests and load. docs/python-client.md is its manual."""

from readcast.backoff import Backoff
from readcast.client import Client, Receipt
from readcast.errors import Closed, ReadcastError, Refused, Unanswered

__all__ = ["Backoff", "Client", "Closed", "ReadcastError", "Receipt", "Refused", "Unanswered"]
