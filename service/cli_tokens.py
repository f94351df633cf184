"""`archfront token create | list | revoke`: who may use the server."""

from typing import Annotated

import typer

from service.cli_output import JsonFlag


def add_to(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(help="Make, list and revoke tokens.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_all)
    group.command("revoke")(revoke)
    app.add_typer(group, name="token", rich_help_panel="Access")


def create(
    name: Annotated[str, typer.Argument(help="Whose it is or what it is for.")],
    scope: Annotated[
        list[str],
        typer.Option(help="read, write, work (for workers) or admin; repeatable."),
    ],
    *,
    days: Annotated[float | None, typer.Option(help="It expires after so many days.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a token. Its secret is printed once, alone on standard output."""
    import sys

    from service.cli_output import print_json
    from service.client import Client
    from service.schemas.tokens import TokenRequest
    from service.schemas.validation import validate

    seconds = None if days is None else days * 86_400.0
    wanted = validate(TokenRequest, {"name": name, "scopes": tuple(scope), "expires_in_s": seconds})
    with Client() as client:
        created = client.create_token(wanted.name, wanted.scopes, wanted.expires_in_s)
    if as_json:
        print_json(created)
        return
    print(created.secret)
    print(f"{created.id}: {', '.join(created.scopes)}; not shown again.", file=sys.stderr)


def list_all(*, as_json: JsonFlag = False) -> None:
    """List the tokens, without their secrets."""
    from service.cli_output import print_json, print_table
    from service.client import Client

    with Client() as client:
        found = client.list_tokens()
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.id,
            one.name,
            ",".join(one.scopes),
            "revoked" if one.revoked_at else "valid",
            f"{one.expires_at:%Y-%m-%d}" if one.expires_at else "never",
            f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never",
        )
        for one in found
    ]
    header = ("id", "name", "scopes", "state", "expires", "last used (UTC)")
    print_table(header, rows, "No tokens.")


def revoke(
    token_id: Annotated[str, typer.Argument(help="As `archfront token list` has it.")],
) -> None:
    """Revoke a token: it opens nothing from now on."""
    from service.client import Client

    with Client() as client:
        revoked = client.revoke_token(token_id)
    print(f"revoked {revoked.id} ({revoked.name})")
