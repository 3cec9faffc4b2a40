"""Pure rules of payments, on plain values."""
