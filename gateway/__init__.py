"""The gateway: WebSocket clients on one side, the two logs and the command topics on the other.

It keeps nothing of its own: whatever it holds is rebuilt from Kafka. `app` puts the parts together.

    session -> operations -> requests -> command topics
    logs, replies -> tail -> rows -> hub (channels, rings) -> outlets -> clients
"""
