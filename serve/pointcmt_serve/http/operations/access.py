"""The access log: a JSON object a line, so that nothing a client sends can forge or break one."""

import json
import logging
import random
import re
import sys
from datetime import UTC, datetime
from typing import Any

ACCESS = logging.getLogger("pointcmt.access")
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_encode = json.JSONEncoder(default=str).encode


class JsonLines(logging.Formatter):
    """Formats every record as one line of JSON, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        entry: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields = getattr(record, "fields", None)
        if fields is None:
            entry["message"] = record.getMessage()
        else:
            entry.update(fields)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return _encode(entry)


def set_up_logging(level: str) -> None:
    """Send all records and warnings to the error stream as JSON lines, from `level` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.ERROR)


def kept_id(offered: str) -> str:
    """Return the id that a request offers, or a new one where it is none that can be logged."""
    return offered if _ID.fullmatch(offered) else new_id()


def new_id() -> str:
    """Return an id for a request that brought none."""
    return f"{random.getrandbits(128):032x}"


def log_access(**fields: Any) -> None:
    """Write one line about one request."""
    ACCESS.info("request", extra={"fields": fields})
