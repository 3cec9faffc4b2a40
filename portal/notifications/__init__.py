"""Messages to people: outbox, preferences and delivery; a recipient is a value, never a row of identity."""
