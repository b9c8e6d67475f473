"""posthouse aliases: addresses that stand for others, in files and in the database."""

from __future__ import annotations

import click

from posthouse.operations.output import OK, REFUSED, answers, fail, json_option, printable, say_json, table


@click.group()
def aliases() -> None:
    """Addresses that stand for others: in a file for each domain (edit it, it counts at once), and in the database."""


@aliases.command("list")
@click.argument("domain", required=False, default="")
@json_option
@answers
def show_all(domain: str, as_json: bool) -> None:
    """List the aliases of DOMAIN, or of all: those of files, then those of the database."""
    from posthouse import configuration
    from posthouse.directory import alias_files
    from posthouse.directory import aliases as acts

    found: list[dict[str, object]] = []
    folder = configuration.active().routing.aliases
    for name, path in alias_files.domains_with_files(folder):
        if domain and name != domain.lower():
            continue
        try:
            file = alias_files.of_domain(folder, name)
        except alias_files.FileTrouble as trouble:
            fail(str(trouble))
        for entry in file.entries.values() if file else ():
            targets = [str(one) for one in entry.targets]
            found.append({"address": f"{entry.name}@{name}", "targets": targets, "place": f"{path}:{entry.line}",
                          "note": ""})  # fmt: skip
    for one in acts.all_aliases(domain):
        found.append({"address": one.address, "targets": list(one.targets), "place": "database", "note": one.note})
    if as_json:
        say_json(found)
        return
    rows = ((one["address"], ", ".join(map(str, one["targets"])), one["place"], one["note"]) for one in found)  # type: ignore[call-overload]
    table(("ADDRESS", "LEADS TO", "WHERE", "NOTE"), rows, "There is no alias.")


@aliases.command("show")
@click.argument("address")
@json_option
@answers
def show(address: str, as_json: bool) -> None:
    """Tell what an alias says, where, and what it comes to in the end."""
    from posthouse import routing
    from posthouse.directory import aliases as acts

    way = routing.ways(address, may_relay=True)[0]
    try:
        kept: acts.AliasFacts | None = acts.show(address)
    except acts.NoSuchAlias:
        kept = None
    asked = [step for step in way.asked if " leads to " in step.answer or step.answer.startswith("it is the queue")]
    if as_json:
        say_json({"address": address, "database": kept, "asked": asked, "kind": way.kind, "leads_to": way.leads_to,
                  "reply": way.reply})  # fmt: skip
    else:
        for step in asked:
            click.echo(printable(f"{step.place}: {step.address}: {step.answer}"))
        if kept is not None and kept.note:
            click.echo(printable(f"Note: {kept.note}"))
        click.echo(printable(f"In the end: {', '.join(way.leads_to) or way.reply or way.kind}"))
    if not asked:
        fail(f"{address} is no alias", 3)


@aliases.command("set")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@click.option("--note", help="What it is for.")
@json_option
@answers
def set_alias(address: str, targets: tuple[str, ...], note: str | None, as_json: bool) -> None:
    """Let ADDRESS (or *@DOMAIN, whatever else comes there) stand for TARGETS, in the database, from now on.

    A target is an address (without a domain: of the same one), ":fail: text", ":defer: text" or ":blackhole:". Programs
    and includes stand in alias files alone.
    """
    from posthouse import configuration
    from posthouse.directory import alias_files
    from posthouse.directory import aliases as acts
    from posthouse.routing import lint

    try:
        made = acts.change(address, list(targets), note)
    except acts.NoSuchAlias:
        made = acts.add(address, list(targets), note or "")
    local, _, domain = made.address.rpartition("@")
    file = alias_files.of_domain(configuration.active().routing.aliases, domain)
    hidden = lint.shadowed(made.address)
    if as_json:
        say_json(made)
    else:
        click.echo(printable(f"{made.address} leads to {', '.join(made.targets)}."))
    if hidden:
        click.echo(f"posthouse: it hides {hidden}, since aliases are asked before lists", err=True)
    if file is not None and local in file.entries:
        line = file.entries[local].line
        click.echo(f"posthouse: {file.path}:{line} names it too and is asked first; edit that", err=True)


@aliases.command("remove")
@click.argument("address")
@json_option
@answers
def remove(address: str, as_json: bool) -> None:
    """Take an alias of the database away. Those of files are removed in their file."""
    from posthouse.directory import aliases as acts

    gone = acts.remove(address)
    if as_json:
        say_json(gone)
    else:
        click.echo(printable(f"{gone.address} no longer leads to {', '.join(gone.targets)}."))


@aliases.command("lint")
@click.argument("domain", required=False, default="")
@json_option
@answers
def lint_all(domain: str, as_json: bool) -> None:
    """Tell what is wrong with the aliases of DOMAIN, or of all: exit code 1 when there is anything.

    Found are: lines that cannot be read, aliases that hide lists, targets that lead nowhere, includes out of reach,
    circles, programs that cannot run, files of domains that are not ours, aliases of the database hidden by a file.
    """
    from posthouse.routing import lint

    found = lint.lint(domain)
    if as_json:
        say_json(found)
    else:
        for one in found:
            click.echo(printable(f"{one.place}: {one.id}: {one.sentence} ({one.hint})"))
        if not found:
            click.echo("Nothing is wrong with the aliases.")
    raise click.exceptions.Exit(REFUSED if found else OK)
