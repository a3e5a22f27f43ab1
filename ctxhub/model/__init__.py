"""Pure values and rules: no Redis, no HTTP, no clock, no randomness; time and ids come in as arguments."""
