"""Kills under the load of public mailboxes: publishes in stages, withdrawals, touches, openings."""
