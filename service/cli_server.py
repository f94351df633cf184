"""`archfront demo | serve | worker | suggester | doctor`: the processes of the service."""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Run the service"
_Option = typer.Option


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("demo", rich_help_panel=_PANEL)(demo)
    app.command("serve", rich_help_panel=_PANEL)(serve)
    app.command("worker", rich_help_panel=_PANEL)(worker)
    app.command("suggester", rich_help_panel=_PANEL)(suggester)
    app.command("doctor", rich_help_panel=_PANEL)(doctor)


DatabaseUrl = Annotated[
    str | None,
    _Option("--database", help="sqlite:///FILE or postgresql://...; default: in the data folder."),
]
DataFolder = Annotated[
    Path | None, _Option("--data", help="Where database, artifacts and the local token are kept.")
]
RayAddress = Annotated[
    str | None,
    _Option("--address", help="HOST:PORT of the Ray cluster; default: the one this machine is in."),
]


def demo(
    *,
    folder: Annotated[
        Path, _Option(help="Keeps all it makes; a later run goes on from there.")
    ] = Path("demo"),
    fresh: Annotated[bool, _Option("--fresh", help="Throw an earlier run away first.")] = False,
    workers: Annotated[int, _Option(min=1, help="How many train and measure at a time.")] = 2,
    trials: Annotated[int | None, _Option(min=1, help="Another budget than 36 trials.")] = None,
    seed: Annotated[int | None, _Option(min=0, help="Another seed than 0.")] = None,
) -> None:
    """Search a real space on this machine, from the REST call to the front."""
    require("fastapi", "server")
    require("onnxruntime", "worker")
    import_module("service.demo").run(
        folder, fresh=fresh, workers=workers, trials=trials, seed=seed
    )


def serve(
    *,
    host: Annotated[str | None, _Option(help="Address to listen at; default 127.0.0.1.")] = None,
    port: Annotated[int | None, _Option(help="Default 8731; 0 takes a free one.")] = None,
    data: DataFolder = None,
    database: DatabaseUrl = None,
    artifacts: Annotated[str | None, _Option(help="Folder or s3://bucket/prefix.")] = None,
    suggesters: Annotated[
        int, _Option(min=0, help="Processes that propose arms; 0 if they run elsewhere.")
    ] = 1,
    lease_ttl: Annotated[
        float | None, _Option(help="Seconds after which a silent worker has lost its lease.")
    ] = None,
    heartbeat: Annotated[float | None, _Option(help="Seconds between two signs of life.")] = None,
    allow_remote: Annotated[
        bool | None,
        _Option(
            "--allow-remote",
            help="Listen beyond this machine: a proxy in front terminates TLS, tokens are guarded.",
        ),
    ] = None,
    log_format: Annotated[str | None, _Option(help="text or json.")] = None,
    log_level: Annotated[str | None, _Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    with_parent: Annotated[
        bool, _Option("--with-parent", help="End when the process that started this one ends.")
    ] = False,
) -> None:
    """Serve the API, with the suggesters; migrates the database first."""
    from service.logs import configure_logs
    from service.settings import read_settings

    settings = read_settings(
        host=host,
        port=port,
        data_folder=data,
        database_url=database,
        artifacts_url=artifacts,
        lease_ttl_s=lease_ttl,
        heartbeat_s=heartbeat,
        allow_remote=allow_remote,
        log_format=log_format,
        log_level=log_level,
    )
    configure_logs(settings.log_format, settings.log_level)
    require("fastapi", "server")
    from service.serving import serve as run

    run(settings, suggesters=suggesters, ends_with_parent=with_parent)


def worker(
    *,
    url: Annotated[
        str | None, _Option(help="The server; default: ARCHFRONT_URL, else the one here.")
    ] = None,
    name: Annotated[str | None, _Option(help="Unique in the fleet; default: the host's.")] = None,
    engine: Annotated[
        str | None, _Option(help="Where stages run: local (this machine), ray or slurm.")
    ] = None,
    address: RayAddress = None,
    gpus_per_stage: Annotated[
        float | None, _Option(help="On ray and slurm, where an experiment requires none.")
    ] = None,
    partition: Annotated[str | None, _Option(help="Slurm's, of each job.")] = None,
    gres: Annotated[str | None, _Option(help="Slurm's, of each job, as gpu:a100:1.")] = None,
    job_minutes: Annotated[int | None, _Option(help="That Slurm gives each job.")] = None,
    slots: Annotated[int | None, _Option(help="Stages worked off at a time.")] = None,
    stages: Annotated[str | None, _Option(help="train,measure or one of them.")] = None,
    threads: Annotated[int | None, _Option(help="Threads of each stage.")] = None,
    cores: Annotated[str | None, _Option(help="Processor cores to use, as 0,1.")] = None,
    gpus: Annotated[
        str | None, _Option(help="GPUs to deal out to the slots, as 0,1 or MIG ids.")
    ] = None,
    device: Annotated[str | None, _Option(help="Names the measuring device.")] = None,
    target: Annotated[
        list[str] | None,
        _Option(help="A name experiments may ask to be measured on; this-host if not given."),
    ] = None,
    devices: Annotated[
        Path | None, _Option(help="YAML of further devices to measure on; see docs/operate.md.")
    ] = None,
    label: Annotated[
        list[str] | None, _Option(help="KEY=VALUE that experiments may require.")
    ] = None,
    resource: Annotated[
        list[str] | None,
        _Option(help="NAME=NUMBER that experiments may require, beside those found."),
    ] = None,
    cache: Annotated[
        Path | None, _Option(help="Prepared data, shared by all workers here.")
    ] = None,
    data: Annotated[Path | None, _Option(help="Attempts under way and unsent results.")] = None,
    drain: Annotated[
        float | None, _Option(help="Seconds that running stages get after SIGTERM.")
    ] = None,
    memory_limit: Annotated[
        float | None, _Option(help="GiB that the processes of one stage may hold.")
    ] = None,
    disk_limit: Annotated[
        float | None, _Option(help="GiB of files that one stage may write into its folder.")
    ] = None,
    time_limit: Annotated[float | None, _Option(help="Seconds that one stage may take.")] = None,
    health_port: Annotated[
        int | None, _Option(help="Answer /healthz here: 200 while it hears the server, else 503.")
    ] = None,
    health_host: Annotated[
        str | None, _Option(help="Where probes come from; default 127.0.0.1, this machine.")
    ] = None,
    with_parent: Annotated[
        bool, _Option("--with-parent", help="End when the process that started this one ends.")
    ] = False,
) -> None:
    """Train and measure trials, here or on a cluster; takes its token from ARCHFRONT_TOKEN.

    With --engine ray it leases as many trainings as the cluster has room for.
    """
    from service.cli_output import pairs
    from service.logs import configure_logs

    configure_logs()
    require("torch", "worker")
    if with_parent:
        from service.child_processes import when_parent_dies

        when_parent_dies(lambda: os.kill(os.getpid(), signal.SIGINT))
    run = import_module("workers.cli").run
    run(
        url,
        name=name,
        engine=engine,
        address=address,
        gpus_per_stage=gpus_per_stage,
        slurm_partition=partition,
        slurm_gres=gres,
        slurm_time_limit_min=job_minutes,
        slots=slots,
        stages=stages.split(",") if stages is not None else None,
        threads=threads,
        cores=cores,
        gpus=gpus,
        device=device,
        targets=target,
        devices_file=devices,
        labels=pairs(label, "--label") if label else None,
        resources=pairs(resource, "--resource") if resource else None,
        cache_folder=cache,
        data_folder=data,
        drain_s=drain,
        memory_limit_gib=memory_limit,
        disk_limit_gib=disk_limit,
        time_limit_s=time_limit,
        health_host=health_host,
        health_port=health_port,
    )


def suggester(
    database: DatabaseUrl = None,
    data: DataFolder = None,
    *,
    engine: Annotated[str, _Option(help="Where it runs: local (this machine) or ray.")] = "local",
    address: RayAddress = None,
) -> None:
    """Propose arms for a server that runs with --suggesters 0.

    With --engine ray, in a task of the cluster, whose nodes have ARCHFRONT_DATABASE_URL set.
    """
    from service.settings import read_settings

    if engine not in ("local", "ray"):
        raise typer.BadParameter(f"{engine!r} is neither local nor ray", param_hint="--engine")
    if engine == "ray":
        from service.logs import configure_logs

        if database is not None or data is not None:
            raise typer.BadParameter(
                "set ARCHFRONT_DATABASE_URL in the environment of the cluster's nodes instead",
                param_hint="--database, --data",
            )
        configure_logs()
        require("sqlalchemy", "server")
        import_module("service.background.ray_suggester").main(address)
        return
    settings = read_settings(database_url=database, data_folder=data)
    require("sqlalchemy", "server")
    arguments = ["--database", settings.database, "--log-format", settings.log_format]
    arguments += ["--log-level", settings.log_level]
    import_module("service.background.suggester").main(arguments)


def doctor(database: DatabaseUrl = None, data: DataFolder = None) -> None:
    """Check a database against every invariant; status 1 if one is broken."""
    from service.settings import read_settings

    settings = read_settings(database_url=database, data_folder=data)
    require("sqlalchemy", "server")
    from service.domain.errors import Unavailable
    from service.storage.artifacts import ArtifactStore
    from service.storage.database import Database
    from service.storage.invariants import check_invariants

    file = Path(settings.database.removeprefix("sqlite:///"))
    if settings.database.startswith("sqlite:///") and not file.is_file():
        raise Unavailable(
            f"There is no database at {file}.", remedy="Name it with --database or --data."
        )
    examined = Database(settings.database)
    try:
        with examined.read() as connection:
            broken = check_invariants(connection, ArtifactStore(settings.artifacts))
    finally:
        examined.dispose()
    for line in broken:
        print(line)
    if broken:
        print(f"{len(broken)} invariants are broken.", file=sys.stderr)
        raise typer.Exit(1)
    print("All invariants hold.")


def require(module: str, extra: str) -> None:
    """Raises: ArchfrontError, naming the extra, where its module is not installed."""
    from importlib.util import find_spec

    from service.domain.errors import ArchfrontError

    if find_spec(module) is None:
        raise ArchfrontError(
            f"This needs {module}, which is not installed.",
            remedy=f"Run: pip install 'archfront[{extra}]'",
        )
