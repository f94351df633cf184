"""A worker in a thread of the test, with a folder of its own."""

import threading
from pathlib import Path
from typing import Any

from search_spaces.registry import Registry
from service.client import Client
from tests.workers.fake_server import TOKEN
from tests.workers.stranger_package.tiny_search_space import spaces
from workers.contact import ServerContact
from workers.daemon import Daemon
from workers.engines.engine import Engine
from workers.engines.local import LocalEngine
from workers.name_lock import take_name
from workers.settings import read_worker_settings
from workers.watchdog import Watchdog


class RunningWorker:
    """Runs while the `with` block lasts; what still runs then is broken off."""

    def __init__(
        self,
        url: str,
        folder: Path,
        token: str = TOKEN,
        watchdog: Watchdog | None = None,
        engine: Engine | None = None,
        **settings: Any,
    ) -> None:
        given = {"data_folder": folder / "data", "cache_folder": folder / "cache"}
        given |= {"name": "tester", "claim_wait_s": 0.2, **settings}
        self.settings = read_worker_settings(**given)
        self.settings.cache_folder.mkdir(parents=True, exist_ok=True)
        self._name = take_name(self.settings.data_folder, self.settings.name)
        self._client = Client(url, token, tries=1)
        self.contact = ServerContact(self._name.name, watchdog or Watchdog(None))
        self.daemon = Daemon(
            self._client,
            self.settings,
            Registry(spaces()),
            self._name,
            self.contact,
            engine=engine or LocalEngine(self.settings),
        )
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="worker-under-test")

    def _run(self) -> None:
        try:
            self.daemon.run()
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            self.error = error

    @property
    def folder(self) -> Path:
        """Where it keeps attempts and results."""
        return self._name.folder

    @property
    def spooled(self) -> list[Path]:
        """The results that wait."""
        return list((self.folder / "spool").iterdir())

    def ended(self, limit_s: float = 20.0) -> bool:
        """Whether it has ended by itself within the limit."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def __enter__(self) -> "RunningWorker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.end()
        self._thread.join(30)
        self._client.close()
        self._name.close()
        assert not self._thread.is_alive(), "the worker does not end"
