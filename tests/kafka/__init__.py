"""Any Kafka client may write commands and read the logs: real ones, against a real broker."""
