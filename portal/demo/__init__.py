"""The demo world's generator."""
