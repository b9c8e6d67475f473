"""Every setting of a list in one table: its name, kind, values, default and documentation. Names are Mailman's.

The documentation for owners is generated from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from posthouse.lists.errors import BadSetting

Value = str | int | bool

LINE, TEXT, BOOL, CHOICE, NUMBER = "line", "text", "yes or no", "choice", "number"
ACTIONS = ("accept", "defer", "hold", "reject", "discard")
_YES = {"yes", "true", "on", "1", "y"}
_NO = {"no", "false", "off", "0", "n"}
_LONGEST = {LINE: 255, TEXT: 16_384}
_LARGEST = 2_000_000


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `values`: what a choice can be; `default`: in the style `discussion`."""

    name: str
    kind: str
    default: Value
    doc: str
    values: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """What its value can be, in words."""
        if self.kind == CHOICE:
            return ", ".join(f"`{value}`" for value in self.values)
        if self.kind == NUMBER:
            return f"a whole number up to {_LARGEST:,}"
        if self.kind == BOOL:
            return "`yes` or `no`"
        return f"{'one line' if self.kind == LINE else 'text'}, up to {_LONGEST[self.kind]:,} characters"

    @property
    def shown_default(self) -> str:
        """Its default as an owner would write it, line breaks as a slash; "" where it is empty."""
        if isinstance(self.default, bool):
            return "yes" if self.default else "no"
        return " / ".join(str(self.default).strip("\n").splitlines())


FOOTER = """_______________________________________________
$display_name: $listname
Leave: $leave_address
Archive: $archive_url
"""

SETTINGS: tuple[Setting, ...] = (
    Setting("display_name", LINE, "", "The list's name for people. At creation: its address' local part, capitalised."),
    Setting("description", LINE, "", "One line about the list, shown in the overview and in List-Id."),
    Setting("info", TEXT, "", "A longer description, shown on the list's page."),
    Setting("advertised", BOOL, True, "Whether the public overview shows the list."),
    Setting(
        "subject_prefix",
        LINE,
        "[$display_name] ",
        "Put before the subject of every posting, once. The blank at its end counts. At creation $display_name is "
        "filled in. Empty: subjects stay as written.",
    ),
    Setting(
        "footer",
        TEXT,
        FOOTER,
        "Put below every posting. Placeholders: $display_name $listname $list_id $description $list_url $archive_url "
        "$permalink $leave_address $owner_address $request_address. Empty: postings stay as written.",
    ),
    Setting(
        "allow_list_posts",
        BOOL,
        True,
        "What List-Post says: the list's address, or NO (RFC 2369). With `no`, members whose postings are rejected "
        "are told that only owners and moderators post here.",
    ),
    Setting(
        "default_member_action",
        CHOICE,
        "defer",
        "What happens to a member's posting: `defer` lets the other rules decide (which accept what nothing speaks "
        "against), `accept` leaves them out. A member may have an action of their own.",
        ACTIONS,
    ),
    Setting(
        "default_nonmember_action",
        CHOICE,
        "hold",
        "What happens to the posting of somebody who is not a member.",
        ACTIONS,
    ),
    Setting(
        "max_message_size", NUMBER, 10_240, "Postings larger than this many KB are held. 0: no limit of the list's own."
    ),
    Setting("respond_to_post_requests", BOOL, True, "Whether authors are told that their posting is held."),
    Setting("admin_immed_notify", BOOL, True, "Whether owners and moderators are told at once of each held posting."),
    Setting(
        "subscription_policy",
        CHOICE,
        "confirm",
        "How people join: `confirm` after they answer a message sent to their address, `open` at once (anybody can "
        "then add anybody's address), `closed` not by themselves: owners add them.",
        ("confirm", "open", "closed"),
    ),
    Setting(
        "unsubscription_policy",
        CHOICE,
        "confirm",
        "How people leave by mail or web: `confirm` after they answer a message sent to their address, `open` at "
        "once. The unsubscribe link in each copy always works at once.",
        ("confirm", "open"),
    ),
    Setting("send_welcome_message", BOOL, True, "Whether people who join are greeted."),
    Setting("send_goodbye_message", BOOL, True, "Whether people who leave are told that they have left."),
    Setting(
        "archive_policy",
        CHOICE,
        "public",
        "Who reads the archive: everybody, members, or nobody because nothing is kept.",
        ("public", "private", "never"),
    ),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def parse(name: str, text: str) -> Value:
    """The value of a setting from text. Raises BadSetting with the rule."""
    setting = BY_NAME.get(name)
    if setting is None:
        raise BadSetting(f"{name!r} is not a setting of a list; known are {', '.join(sorted(BY_NAME))}")
    if setting.kind == BOOL:
        word = text.strip().lower()
        if word not in _YES | _NO:
            raise BadSetting(f"{name} is yes or no, not {text!r}")
        return word in _YES
    if setting.kind == NUMBER:
        if not text.strip().isascii() or not text.strip().isdecimal() or int(text.strip()[:12]) > _LARGEST:
            raise BadSetting(f"{name} is a whole number from 0 to {_LARGEST}, not {text!r}")
        return int(text.strip())
    if setting.kind == CHOICE:
        word = text.strip().lower()
        if word not in setting.values:
            raise BadSetting(f"{name} is one of {', '.join(setting.values)}, not {text!r}")
        return word
    return _words(setting, text)


def _words(setting: Setting, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadSetting(f"{setting.name} holds letters that are not Unicode") from None
    if "\0" in text:
        raise BadSetting(f"{setting.name} holds a NUL")
    if setting.kind == LINE and ("\n" in text or "\r" in text):
        raise BadSetting(f"{setting.name} is one line")
    if len(text) > _LONGEST[setting.kind]:
        raise BadSetting(f"{setting.name} has at most {_LONGEST[setting.kind]} characters")
    if setting.kind == TEXT:
        return text.replace("\r\n", "\n").replace("\r", "\n")
    return text
