"""What the hub and the agents call; served by a worker of its own (docs/hub-protocol.md)."""
