"""Eyes in the terminal: show a customer, follow what happens, forget a customer; by a running hub's own API."""
