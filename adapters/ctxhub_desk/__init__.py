"""The agent's page: waiting handoffs live, what the customer already told, the conversation, and what becomes of it."""

from ctxhub_desk.server import router
from ctxhub_desk.settings import DeskSettings

__all__ = ["DeskSettings", "router"]
