"""Records as JSON, an object a line, for programs that collect logs."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

FIELDS = "fields"
"""Attribute of a record with what a program would read out of its words."""


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object: `timestamp` in UTC, `level`, `logger`, `event`, and what it has beside."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        document: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            document["exc_info"] = self.formatException(record.exc_info)
        import json  # a start without it is cheaper

        return json.dumps(document, ensure_ascii=False, default=str)


def json_line(level: str, event: str, **fields: Any) -> str:
    """Return what is no record of a logger as such a line."""
    record = logging.LogRecord("darts", logging.getLevelNamesMapping()[level.upper()], "", 0, event, None, None)
    return JsonFormatter().format(with_fields(record, fields))


def with_fields(record: logging.LogRecord, fields: Mapping[str, Any]) -> logging.LogRecord:
    """Return a record with fields of its own."""
    setattr(record, FIELDS, dict(fields))
    return record
