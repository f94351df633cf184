"""`archfront token create | list | revoke`: who may use the server."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli_output import JsonFlag

if TYPE_CHECKING:
    from service.schemas.tokens import TokenCreated, TokenRequest, TokenView


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
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            help="Ask no server: write it into the database of ARCHFRONT_DATABASE_URL, or of the "
            "data folder. Makes the first token of a server without one.",
        ),
    ] = False,
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
    if offline:
        created = _create_offline(wanted)
    else:
        with Client() as client:
            created = client.create_token(wanted.name, wanted.scopes, wanted.expires_in_s)
    if as_json:
        print_json(created)
        return
    print(created.secret)
    print(f"{created.id}: {', '.join(created.scopes)}; not shown again.", file=sys.stderr)


def _create_offline(wanted: "TokenRequest") -> "TokenCreated":
    from service.cli_server import require
    from service.settings import read_settings

    settings = read_settings()
    require("sqlalchemy", "server")
    from service.storage.database import Database
    from service.use_cases.tokens import create_token

    database = Database(settings.database)
    try:
        database.upgrade()
        with database.write() as connection:
            return create_token(connection, wanted)
    finally:
        database.dispose()


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
            _state(one),
            f"{one.expires_at:%Y-%m-%d}" if one.expires_at else "never",
            f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never",
        )
        for one in found
    ]
    header = ("id", "name", "scopes", "state", "expires", "last used (UTC)")
    print_table(header, rows, "No tokens.")


def _state(token: "TokenView") -> str:
    if token.revoked_at:
        return "revoked"
    return f"used by {token.spent_by}" if token.spent_at else "valid"


def revoke(
    token_id: Annotated[str, typer.Argument(help="As `archfront token list` has it.")],
) -> None:
    """Revoke a token: it opens nothing from now on."""
    from service.client import Client

    with Client() as client:
        revoked = client.revoke_token(token_id)
    print(f"revoked {revoked.id} ({revoked.name})")
