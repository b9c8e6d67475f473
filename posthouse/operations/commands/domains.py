"""posthouse domains: the mail domains that are ours."""

from __future__ import annotations

import click

from posthouse.operations.output import answers, json_option, say_json, table


@click.group()
def domains() -> None:
    """The mail domains that are ours: an address in one of them is known or refused, never relayed."""


@domains.command("add")
@click.argument("name")
@click.option("--description", default="", help="What the domain is for.")
@json_option
@answers
def add(name: str, description: str, as_json: bool) -> None:
    """Add a domain. It takes mail at once; no restart."""
    from posthouse.directory import domains as acts

    made = acts.add(name, description)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.name} is ours now. Its MX record should name this host.")


@domains.command("list")
@json_option
@answers
def show_all(as_json: bool) -> None:
    """List the domains."""
    from posthouse.directory import domains as acts

    found = acts.all_domains()
    if as_json:
        say_json(found)
    else:
        rows = ((one.name, one.stands_for, ", ".join(one.owners), one.description) for one in found)
        table(("DOMAIN", "STANDS FOR", "OWNERS", "DESCRIPTION"), rows, "There is no domain yet.")


@domains.command("stand-for")
@click.argument("legacy")
@click.argument("other", required=False)
@json_option
@answers
def stand_for(legacy: str, other: str | None, as_json: bool) -> None:
    """Let the lists of OTHER be reached in the domain LEGACY too, with every suffix; without OTHER: no longer."""
    from posthouse.directory import domains as acts

    made = acts.stand_for(legacy, other)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.name} stands for {made.stands_for or 'itself'}.")


@domains.command("owner")
@click.argument("name")
@click.argument("address")
@click.option("--remove", "gone", is_flag=True, help="Take the domain away from this account.")
@json_option
@answers
def owner(name: str, address: str, gone: bool, as_json: bool) -> None:
    """Let an account create, change and remove the lists of a domain."""
    from posthouse.directory import domains as acts

    made = acts.remove_owner(name, address) if gone else acts.add_owner(name, address)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.name}: owners are {', '.join(made.owners) or 'none'}.")


@domains.command("describe")
@click.argument("name")
@click.argument("description")
@json_option
@answers
def describe(name: str, description: str, as_json: bool) -> None:
    """Say what a domain is for."""
    from posthouse.directory import domains as acts

    made = acts.describe(name, description)
    if as_json:
        say_json(made)
    else:
        click.echo(f"{made.name}: {made.description}")


@domains.command("rename")
@click.argument("old")
@click.argument("new")
@click.option("--new-list-id", is_flag=True, help="Change the List-Ids too; people's mail filters name them.")
@json_option
@answers
def rename(old: str, new: str, new_list_id: bool, as_json: bool) -> None:
    """Move every list of the domain OLD to NEW, all or none. Old addresses and pages work on, as long as OLD is here.

    NEW is made a domain of ours when it is not. `posthouse domains remove OLD --with-old-names` ends the old ones.
    """
    from posthouse.lists import moving

    done = moving.rename_domain(old, new, new_list_id=new_list_id)
    if as_json:
        return say_json(done)
    for before, after in done.lists:
        click.echo(f"{before} is {after} now")
    return click.echo(f"{len(done.lists)} lists moved; mail to {done.old} still reaches them.")


@domains.command("remove")
@click.argument("name")
@click.option("--with-old-names", is_flag=True, help="End the addresses in it by which lists elsewhere are reached.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@answers
def remove(name: str, with_old_names: bool, yes: bool, as_json: bool) -> None:
    """Let an empty domain be ours no longer: mail for it is refused at once. Its lists never go in passing."""
    from posthouse.directory import domains as acts
    from posthouse.lists import moving

    found = acts.show(name)
    if not yes:
        click.confirm(f"Remove {found.name}? Mail for it will be refused.", abort=True)
    count = moving.remove_domain(found.name, with_old_names=with_old_names)
    if as_json:
        return say_json({"name": found.name, "old_names": count})
    return click.echo(f"{found.name} is removed{f', with {count} old names of lists' if count else ''}.")
