"""What ctxhub does: one file for each noun, then the services. Each joins the pure rules with the store."""
