"""Redis, and nothing but Redis: where contexts are kept and how they change in one atomic step."""
