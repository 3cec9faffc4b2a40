"""What changes messages."""
