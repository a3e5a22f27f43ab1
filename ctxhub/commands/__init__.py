"""What each command of `ctxhub` does; `ctxhub.cli` says what can be said, and loads only the one that is asked for."""
