"""Public mailboxes: what operators publish, and whom it reaches when."""
