"""The app's side of ctxhub: a customer's matters, promises and people, resume links, and the association files."""

from ctxhub_app.server import router
from ctxhub_app.settings import AppSettings, check_channel

__all__ = ["AppSettings", "check_channel", "router"]
