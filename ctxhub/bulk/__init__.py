"""Many customers at once: brought in from a CRM's export, taken out whole, and put back.

What a line says is pure (`record`, `mapping`, `tables`, `bringing`, `shape`); reading, writing and Redis stand apart.
"""
