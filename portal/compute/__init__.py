"""GPU pool, profiles, compute sessions, metering, energy, engines."""
