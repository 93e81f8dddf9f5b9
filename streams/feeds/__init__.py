"""Timeline feeds: authors' outboxes, followers' inboxes, and the pages that are made of both."""
