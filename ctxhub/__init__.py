"""ctxhub: the customer says it once; every channel of the company knows it."""

__version__ = "0.1.0"
