"""Post one message over SMTP with the standard library alone: `python3 -m posthouse.operations.post --help`."""

from __future__ import annotations

import argparse
import smtplib
import sys
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid


def main() -> int:
    """Send the message that the arguments describe; 0 when it was accepted."""
    parser = argparse.ArgumentParser(prog="python3 -m posthouse.operations.post", description="Post one message.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2525)
    parser.add_argument("--from", dest="author", required=True, metavar="ADDRESS")
    parser.add_argument("--to", required=True, metavar="ADDRESS")
    parser.add_argument("subject")
    parser.add_argument("text", nargs="?", default="")
    given = parser.parse_args()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = given.author, given.to, given.subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=given.author.rpartition("@")[2])
    message.set_content(given.text + "\n")
    try:
        with smtplib.SMTP(given.host, given.port, timeout=30) as server:
            server.ehlo()
            server.mail(given.author)
            code, reply = server.rcpt(given.to)
            if code // 100 == 2:
                code, reply = server.data(message.as_bytes(policy=SMTP))
    except OSError as error:
        print(f"{given.host} port {given.port}: {error}", file=sys.stderr)
        return 1
    print(f"{code} {reply.decode('utf-8', 'replace')}")
    return 0 if code // 100 == 2 else 1


if __name__ == "__main__":
    sys.exit(main())
