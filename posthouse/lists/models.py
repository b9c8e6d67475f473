"""Mailing lists, memberships, held postings and pending confirmations."""

from __future__ import annotations

from django.db import models

from posthouse.content.models import Content
from posthouse.directory.models import Address, Domain, Preferences

MEMBER, OWNER, MODERATOR, NONMEMBER = "member", "owner", "moderator", "nonmember"
ENABLED, BY_USER, BY_BOUNCES, BY_MODERATOR = "enabled", "by_user", "by_bounces", "by_moderator"


ACTIVE, PAUSED, CLOSED, DISABLED = "active", "paused", "closed", "disabled"


class LivingLists(models.Manager["MailingList"]):
    """Every list but those that were removed and can still be restored."""

    def get_queryset(self) -> models.QuerySet[MailingList]:
        """Lists that are not removed."""
        return super().get_queryset().filter(removed_at=None)


class MailingList(models.Model):
    """A mailing list and its settings; names and values of settings are Mailman's where it has them."""

    list_name = models.CharField(max_length=64)  # local part, lower case
    domain = models.ForeignKey(Domain, on_delete=models.PROTECT)
    list_id = models.CharField(max_length=320, unique=True)  # name.host, never changes (RFC 2919)
    style = models.CharField(max_length=32, default="discussion")
    created_at = models.DateTimeField(auto_now_add=True)
    last_post_at = models.DateTimeField(null=True)
    post_id = models.IntegerField(default=1)

    display_name = models.CharField(max_length=255, default="")
    description = models.CharField(max_length=255, blank=True, default="")
    info = models.TextField(blank=True, default="")
    subject_prefix = models.CharField(max_length=255, blank=True, default="")
    footer = models.TextField(blank=True, default="")
    advertised = models.BooleanField(default=True)
    allow_list_posts = models.BooleanField(default=True)
    default_member_action = models.CharField(max_length=8, default="defer")  # accept defer hold reject discard
    default_nonmember_action = models.CharField(max_length=8, default="hold")
    subscription_policy = models.CharField(max_length=24, default="confirm")  # confirm open closed
    unsubscription_policy = models.CharField(max_length=24, default="confirm")  # confirm open
    archive_policy = models.CharField(max_length=8, default="public")  # public private never
    max_message_size = models.IntegerField(default=10240)  # KB; larger is held; 0: no limit
    respond_to_post_requests = models.BooleanField(default=True)  # tell the author that a posting is held
    admin_immed_notify = models.BooleanField(default=True)  # tell owners of each held posting at once
    send_welcome_message = models.BooleanField(default=True)
    send_goodbye_message = models.BooleanField(default=True)

    # moderation
    emergency = models.BooleanField(default=False)  # hold everything that is not approved
    moderator_password = models.CharField(max_length=255, blank=True, default="")  # argon2, never shown
    accept_these_nonmembers = models.TextField(blank=True, default="")  # one a line: address, ^expression, @list
    hold_these_nonmembers = models.TextField(blank=True, default="")
    reject_these_nonmembers = models.TextField(blank=True, default="")
    discard_these_nonmembers = models.TextField(blank=True, default="")
    member_moderation_notice = models.TextField(blank=True, default="")
    nonmember_rejection_notice = models.TextField(blank=True, default="")
    forward_auto_discards = models.BooleanField(default=False)
    member_verbosity_threshold = models.IntegerField(default=0)  # postings in the interval; 0: not counted
    member_verbosity_interval = models.IntegerField(default=300)  # seconds
    administrivia = models.BooleanField(default=True)
    require_explicit_destination = models.BooleanField(default=True)
    acceptable_aliases = models.TextField(blank=True, default="")
    max_num_recipients = models.IntegerField(default=10)  # that many or more are held; 0: no limit
    hold_digest = models.BooleanField(default=False)
    bounce_matching_headers = models.TextField(blank=True, default="")  # one a line: field: expression
    max_days_to_hold = models.IntegerField(default=180)  # 0: for ever

    # bounces
    process_bounces = models.BooleanField(default=True)
    bounce_score_threshold = models.IntegerField(default=5)
    bounce_info_stale_after = models.IntegerField(default=7 * 86400)  # seconds
    verp_probes = models.BooleanField(default=True)  # ask the address once more before delivery is stopped
    bounce_you_are_disabled_warnings = models.IntegerField(default=3)
    bounce_you_are_disabled_warnings_interval = models.IntegerField(default=7 * 86400)  # seconds
    bounce_notify_owner_on_disable = models.BooleanField(default=True)
    bounce_notify_owner_on_removal = models.BooleanField(default=True)
    bounce_notify_owner_on_bounce_increment = models.BooleanField(default=False)
    # discard administrators site_owner
    forward_unrecognized_bounces_to = models.CharField(max_length=14, default="administrators")

    # alterations, filtering, DMARC, distribution
    header = models.TextField(blank=True, default="")
    personalize = models.CharField(max_length=10, default="none")  # none individual full
    reply_goes_to_list = models.CharField(max_length=20, default="no_munging")
    reply_to_address = models.CharField(max_length=320, blank=True, default="")
    first_strip_reply_to = models.BooleanField(default=False)
    include_rfc2369_headers = models.BooleanField(default=True)
    anonymous_list = models.BooleanField(default=False)
    filter_content = models.BooleanField(default=False)
    filter_types = models.TextField(blank=True, default="")
    pass_types = models.TextField(blank=True, default="")
    filter_extensions = models.TextField(blank=True, default="")
    pass_extensions = models.TextField(blank=True, default="")
    filter_action = models.CharField(max_length=8, default="discard")  # of a posting of which nothing remains
    collapse_alternatives = models.BooleanField(default=True)
    convert_html_to_plaintext = models.BooleanField(default=False)
    dmarc_mitigate_action = models.CharField(max_length=16, default="munge_from")
    dmarc_mitigate_unconditionally = models.BooleanField(default=False)
    dmarc_addresses = models.TextField(blank=True, default="")
    dmarc_moderation_notice = models.TextField(blank=True, default="")
    dmarc_wrapped_message_text = models.TextField(blank=True, default="")
    # default-posting-pipeline default-owner-pipeline virgin
    posting_pipeline = models.CharField(max_length=24, default="default-posting-pipeline")
    encode_ascii_prefixes = models.BooleanField(default=False)
    include_errors_to = models.BooleanField(default=False)
    scrub_nondigest = models.BooleanField(default=False)  # copies link to attachments instead of carrying them
    topics_enabled = models.BooleanField(default=False)
    topics = models.TextField(blank=True, default="")  # one a line: name: expression
    topics_bodylines_limit = models.IntegerField(default=5)
    regular_include_lists = models.TextField(blank=True, default="")
    regular_exclude_lists = models.TextField(blank=True, default="")
    obscure_addresses = models.BooleanField(default=True)
    archive_download = models.CharField(max_length=8, default="readers")  # readers members nobody
    archive_rendering_mode = models.CharField(max_length=8, default="text")  # text markdown

    # people, joining, states
    state = models.CharField(max_length=8, default=ACTIVE)  # active paused closed disabled
    state_reason = models.CharField(max_length=255, blank=True, default="")
    state_since = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)  # a removed list's names are marked with ~ until it is purged
    archive_kept = models.BooleanField(default=True)  # of a removed list: whether its archive stays to be read
    member_roster_visibility = models.CharField(max_length=12, default="moderators")  # public members moderators
    admin_notify_mchanges = models.BooleanField(default=False)
    subscribe_auto_approval = models.TextField(blank=True, default="")
    new_member_options = models.TextField(blank=True, default="")  # one a line: preference=value

    # digests, automatic answers
    digests_enabled = models.BooleanField(default=True)
    digest_is_default = models.BooleanField(default=False)  # of who joins from now on
    mime_is_default_digest = models.BooleanField(default=True)  # which kind digest_is_default means
    digest_size_threshold = models.FloatField(default=30.0)  # KB; 0: never by size
    digest_send_periodic = models.BooleanField(default=True)
    digest_volume_frequency = models.CharField(max_length=9, default="monthly")
    digest_header = models.TextField(blank=True, default="")
    digest_footer = models.TextField(blank=True, default="")
    volume = models.IntegerField(default=1)
    next_digest_number = models.IntegerField(default=1)
    digest_last_sent_at = models.DateTimeField(null=True)
    autorespond_owner = models.CharField(max_length=20, default="none")
    autorespond_postings = models.CharField(max_length=20, default="none")
    autorespond_requests = models.CharField(max_length=20, default="none")
    autoresponse_owner_text = models.TextField(blank=True, default="")
    autoresponse_postings_text = models.TextField(blank=True, default="")
    autoresponse_request_text = models.TextField(blank=True, default="")
    autoresponse_grace_period = models.IntegerField(default=90 * 86400)  # seconds; 0: always

    # the gateway to news
    linked_newsgroup = models.CharField(max_length=255, blank=True, default="")
    gateway_to_news = models.BooleanField(default=False)
    gateway_to_mail = models.BooleanField(default=False)
    newsgroup_moderation = models.CharField(max_length=16, default="none")  # none open_moderated moderated
    nntp_prefix_subject_too = models.BooleanField(default=True)
    usenet_watermark = models.BigIntegerField(null=True)  # the last article taken; NULL: none was looked at

    # languages
    preferred_language = models.CharField(max_length=16, blank=True, default="")  # "": the site's

    objects = LivingLists()
    everything = models.Manager["MailingList"]()

    @property
    def address(self) -> str:
        """The posting address; load the domain with the row."""
        return f"{self.list_name}@{self.domain.name}"

    class Meta:
        db_table = "lists_mailinglist"
        constraints = [models.UniqueConstraint(fields=["domain", "list_name"], name="list_once")]


class Membership(Preferences):
    """One address on one list in one role, with its preferences for it (NULL: the address', the account's, ...)."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, db_index=False)
    address = models.ForeignKey(Address, on_delete=models.CASCADE)
    role = models.CharField(max_length=9, default=MEMBER)
    moderation_action = models.CharField(max_length=8, blank=True, default="")  # "": the list's default
    joined_at = models.DateTimeField(auto_now_add=True)
    # regular plaintext_digests mime_digests summary_digests
    delivery_mode = models.CharField(max_length=20, null=True)
    delivery_resumes_at = models.DateTimeField(null=True)  # of delivery that the member stopped: the end of a vacation
    bounces = models.IntegerField(default=0)
    last_bounce_at = models.DateTimeField(null=True)
    last_bounce = models.TextField(blank=True, default="")
    bounce_score = models.FloatField(default=0.0, db_default=0.0)
    bounce_warnings = models.IntegerField(default=0, db_default=0)  # sent since delivery was stopped
    bounce_stopped_at = models.DateTimeField(null=True)
    bounce_due_at = models.DateTimeField(null=True)  # when the next warning, or the removal, is due
    topics = models.TextField(blank=True, default="", db_default="")  # chosen, as lists.topics keeps them; "": all
    receive_nonmatching_topics = models.BooleanField(default=False, db_default=False)

    class Meta:
        db_table = "lists_membership"
        constraints = [
            models.UniqueConstraint(fields=["mailing_list", "role", "address"], name="membership_once"),
        ]
        indexes = [
            models.Index("bounce_due_at", condition=models.Q(delivery_status=BY_BOUNCES), name="stopped_by_bounces"),
            models.Index(
                "delivery_resumes_at", condition=models.Q(delivery_resumes_at__isnull=False), name="vacation_ends"
            ),
        ]


class WaitingPostings(models.Manager["HeldPosting"]):
    """What waits for a moderator; what was discarded and can still be restored does not."""

    def get_queryset(self) -> models.QuerySet[HeldPosting]:
        """Postings nobody has decided about."""
        return super().get_queryset().filter(discarded_at=None)


class HeldPosting(models.Model):
    """A posting that waits for a moderator, or one that was discarded a few days ago and can be restored."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE)
    content = models.ForeignKey(Content, on_delete=models.DO_NOTHING, db_index=False, db_constraint=False)
    item = models.BigIntegerField()  # the queue id it came with, for the trace
    prefix = models.BinaryField(default=b"")
    return_path = models.TextField(default="")
    author = models.TextField(default="")
    subject = models.TextField(default="")
    message_id = models.TextField(default="")
    size = models.BigIntegerField(default=0)
    rule = models.CharField(max_length=40)
    reason = models.TextField()
    hits = models.TextField(default="")  # every rule that spoke against it, one a line: name, colon, reason
    author_policy = models.CharField(max_length=10, default="")  # DMARC policy of its author when it came
    held_at = models.DateTimeField(db_index=True)
    discarded_at = models.DateTimeField(null=True)
    discarded_by = models.CharField(max_length=320, blank=True, default="", db_default="")

    objects = WaitingPostings()
    everything = models.Manager["HeldPosting"]()

    class Meta:
        db_table = "lists_heldposting"
        indexes = [
            models.Index("mailing_list", "id", condition=models.Q(discarded_at__isnull=True), name="held_on_list"),
            models.Index("discarded_at", condition=models.Q(discarded_at__isnull=False), name="discarded_held"),
        ]


class Ban(models.Model):
    """Who may neither post nor join: an address, `@domain` or `^expression`; on one list or (no list) on the site."""

    mailing_list = models.ForeignKey(MailingList, null=True, on_delete=models.CASCADE, db_index=False)
    pattern = models.CharField(max_length=1000)  # lower case, but for expressions
    why = models.CharField(max_length=255, blank=True, default="")
    by = models.CharField(max_length=320, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        db_table = "lists_ban"
        indexes = [models.Index("pattern", name="ban_of")]
        constraints = [
            models.UniqueConstraint(fields=["mailing_list", "pattern"], name="ban_once"),
            models.UniqueConstraint(
                fields=["pattern"], condition=models.Q(mailing_list__isnull=True), name="site_ban_once"
            ),
        ]


class HeaderMatch(models.Model):
    """An expression looked for in a header field of every part, with what happens then; in order, of a list or site."""

    mailing_list = models.ForeignKey(MailingList, null=True, on_delete=models.CASCADE)
    position = models.IntegerField()  # from 0
    header = models.CharField(max_length=76)  # lower case
    pattern = models.CharField(max_length=1000)
    action = models.CharField(max_length=8, default="hold")  # accept hold reject discard
    tag = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        db_table = "lists_headermatch"


class Spoken(models.Model):
    """When a member posted, where member_verbosity_threshold counts it; rows go with the interval."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=320)  # key
    at = models.DateTimeField()

    class Meta:
        db_table = "lists_spoken"
        indexes = [models.Index("mailing_list", "address", "at", name="spoken_of")]


class Pending(models.Model):
    """A confirmation somebody was asked for. Only the token's digest is kept; used once, for a while."""

    digest = models.CharField(max_length=64, unique=True)
    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE)
    act = models.CharField(max_length=8)  # join leave invite command move
    waits_for = models.CharField(max_length=9, default="address")  # whose word is needed: address or moderator
    details = models.TextField(blank=True, default="")  # JSON: preferences of who joins, commands to obey, who moves
    address = models.CharField(max_length=320)  # key
    original = models.CharField(max_length=320, default="")  # as its owner writes it
    display_name = models.CharField(max_length=255, default="")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "lists_pending"
        indexes = [models.Index("mailing_list", "address", name="pending_of")]


class Bounce(models.Model):
    """A bounce that came back for a copy."""

    membership = models.ForeignKey(Membership, null=True, on_delete=models.SET_NULL)
    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE)
    address = models.CharField(max_length=320)
    at = models.DateTimeField(db_index=True)
    status = models.CharField(max_length=16, default="")
    diagnostic = models.TextField(default="")
    weight = models.FloatField(default=0.0)  # what it added to the score: once a day
    own = models.BooleanField(default=False)  # our own delivery saw it; anybody can write the others

    class Meta:
        db_table = "lists_bounce"
        indexes = [models.Index("mailing_list", "address", name="bounce_of")]


class Notified(models.Model):
    """An automatic message somebody got from a list: how many a day stay bounded. Rows go after a day."""

    mailing_list = models.ForeignKey(MailingList, on_delete=models.CASCADE, db_index=False)
    address = models.CharField(max_length=320)  # key
    kind = models.CharField(max_length=40)
    at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "lists_notified"
        indexes = [models.Index("address", "mailing_list", "at", name="notified_to")]


# The tables of further areas; imported here so that Django finds them.
from posthouse.lists import (  # noqa: E402
    bounce_models,  # noqa: F401
    digest_models,  # noqa: F401
    news_models,  # noqa: F401
    people_models,  # noqa: F401
    text_models,  # noqa: F401
)
