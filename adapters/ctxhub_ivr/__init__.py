"""The telephone menu: Twilio-compatible voice webhooks answering TwiML."""

from ctxhub_ivr.server import router
from ctxhub_ivr.settings import IvrSettings

__all__ = ["IvrSettings", "router"]
