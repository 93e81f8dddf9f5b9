"""The system from outside: WebSocket clients and Kafka clients against real processes."""
