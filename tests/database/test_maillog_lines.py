"""What the log on standard error shows."""

from __future__ import annotations

import dataclasses
import json

import pytest

from posthouse import configuration, maillog
from posthouse.queue.identity import name_of, new_queue_id


def test_a_line_names_a_message_as_its_reply_and_the_trace_do(capsys: pytest.CaptureFixture[str]) -> None:
    kept = configuration.active()
    configuration.activate(dataclasses.replace(kept, maillog=configuration.Maillog(stderr=True)))
    item = new_queue_id(1)
    maillog.quiet(False)
    try:
        maillog.say([maillog.Event(1, "enqueued", item, "ana@far.example", {"because": item, "recipients": 3})])
    finally:
        maillog.quiet()
        configuration.activate(kept)

    line = json.loads(capsys.readouterr().err)

    assert line["item"] == line["because"] == name_of(item)
    assert line["recipients"] == 3
