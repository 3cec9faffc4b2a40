"""What changes identity: module = noun, function = verb."""
