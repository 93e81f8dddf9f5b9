"""Mailboxes: who may send what, and which seq it gets."""
