"""Users: how far each has read, and which mailboxes they are in."""
