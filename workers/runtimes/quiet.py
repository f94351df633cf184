"""Keeps the chatter of exporters and runtimes out of logs and of warnings made errors."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTY_LOGGERS = (
    "torch",
    "torch.onnx",
    "torch.export",
    "torchao",
    "onnxscript",
    "executorch",
    "nncf",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, foreign packages may call what is deprecated and tell what they miss.

    They warn of their own insides, which nobody here can mend; what counts is checked:
    `workers.measurement.agreement` compares the exported network's answers.
    """
    loggers = [logging.getLogger(name) for name in _CHATTY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
