"""Clients by the thousand: what they were promised is counted, and how long it took."""
