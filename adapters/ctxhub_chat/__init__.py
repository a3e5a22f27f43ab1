"""A web chat for ctxhub: page, widget, and a small bot that is driven by the tenant's journey kinds."""

from ctxhub_chat.server import ChatSettings, router

__all__ = ["ChatSettings", "router"]
