"""Forwarding rows to the gateways that ask for them, instead of having every gateway read everything."""
