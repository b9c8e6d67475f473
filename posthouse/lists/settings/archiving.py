"""Who reads the archive."""

from __future__ import annotations

from posthouse.lists.settings.kinds import BOOL, CHOICE, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "archive_policy",
        CHOICE,
        "public",
        "Who reads the archive: everybody, members, or nobody because nothing is kept.",
        ("public", "private", "never"),
    ),
    Setting(
        "archive_rendering_mode",
        CHOICE,
        "text",
        "How pages of the archive show the text of postings: `text` as its author wrote it, `markdown` with headings, "
        "lists, emphasis, tables and code made of Markdown. HTML, images and scripts in it stay text.",
        ("text", "markdown"),
    ),
    Setting(
        "obscure_addresses",
        BOOL,
        True,
        "Whether pages of an archive that everybody reads show addresses as `ana at far.example`, which programs that "
        "collect addresses read less easily; so do search results, and downloads by people who are not on the list, "
        "who cannot search by addresses either. The raw form of a message stays what it is.",
    ),
    Setting(
        "archive_download",
        CHOICE,
        "readers",
        "Who downloads the whole archive as an mbox: `readers` everybody who reads it, `members` members, moderators "
        "and owners, `nobody` on the web.",
        ("readers", "members", "nobody"),
    ),
)
