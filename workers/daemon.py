"""The worker: registers, claims stages into its slots and works them off until told to stop."""

import logging
import random
import shutil
import threading
import time
import uuid
from collections.abc import Iterator

from search_spaces.registry import Registry
from service.domain.errors import (
    ArchfrontError,
    ScopeMissing,
    Unauthenticated,
    WorkerNotFound,
)
from service.domain.lease import LeaseTimes
from service.schemas.leases import LeaseGrant
from service.schemas.workers import WorkerRegistration
from workers.attempt import Attempts
from workers.contact import ServerContact
from workers.delivery import Delivery
from workers.engines.engine import Engine, Place
from workers.lab import lab_of
from workers.name_lock import NameLock
from workers.registration import machine_device, registration, trainable_spaces
from workers.server import FINAL_REFUSALS, Server, WorkerStatus
from workers.settings import WorkerSettings
from workers.shutdown import Shutdown
from workers.spool import Spool

_logger = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 15.0
_DELIVER_REST_EVERY_S = 5.0
_LOOK_FOR_ROOM_EVERY_S = 0.5
_LOOK_FOR_DEVICES_EVERY_S = 60.0


class Daemon:
    """One worker. `run` returns when it was told to drain or end, with nothing left running."""

    def __init__(
        self,
        server: Server,
        settings: WorkerSettings,
        registry: Registry,
        name: NameLock,
        contact: ServerContact,
        *,
        engine: Engine,
    ) -> None:
        self._server = server
        self._contact = contact
        self._settings = settings
        self._shutdown = Shutdown(settings.drain_s)
        self._engine = engine
        self._spaces = trainable_spaces(registry)
        own_device = settings.device or machine_device()
        self._lab = lab_of(settings, own_device)
        self._registration = self._as_it_stands(name.name)
        self._spool = Spool(name.folder / "spool")
        self._delivery = Delivery(server, self._spool)
        self._work_folder = name.folder / "work"
        self._attempts = Attempts(
            server=server,
            contact=contact,
            spool=self._spool,
            delivery=self._delivery,
            shutdown=self._shutdown,
            work_folder=self._work_folder,
            cache_folder=settings.cache_folder,
            threads=settings.threads,
            log_limit_bytes=settings.log_limit_bytes,
            limits=settings.stage_limits,
            own_device=own_device,
            lab=self._lab,
        )
        self._registering = threading.Lock()
        self._claiming = threading.Lock()
        self._worker_id: str | None = None
        self._claim_key = uuid.uuid4().hex
        self._times = LeaseTimes()
        self._refusal: ArchfrontError | None = None

    def drain(self) -> None:
        """Claims nothing more; running stages may finish within `drain_s`."""
        self._shutdown.drain()

    def end(self) -> None:
        """Breaks running stages off, and reports them as preempted."""
        self._shutdown.end()

    def run(self) -> None:
        """Works until told to stop.

        Raises: Unauthenticated or ScopeMissing if the server refuses the token; InvalidRequest
        if it refuses the registration.
        """
        # The name is ours alone: what lies there is of an earlier process, and its stages are
        # dead. Its results are not, and their leases may still be held: so they go first.
        shutil.rmtree(self._work_folder, ignore_errors=True)
        self._delivery.deliver_rest()
        worker_id = self._register_patiently(None)
        slots = [
            threading.Thread(target=self._work_slot, args=(slot,), name=f"slot-{slot}")
            for slot in range(self._settings.slots)
        ]
        try:
            if worker_id is not None:
                for thread in slots:
                    thread.start()
                self._wait_for_shutdown()
                self._contact.stopping()
                self._tell_status("draining")
        finally:
            self._shutdown.drain()
            for thread in slots:
                if thread.ident is not None:
                    thread.join()
            self._delivery.deliver_rest()
            self._tell_status("stopped")
        if self._refusal is not None:
            raise self._refusal

    def _wait_for_shutdown(self) -> None:
        looked_s = time.monotonic()
        while not self._shutdown.wait(_DELIVER_REST_EVERY_S):
            self._delivery.deliver_rest()
            if time.monotonic() - looked_s >= _LOOK_FOR_DEVICES_EVERY_S:
                self._offer_returned_devices()
                looked_s = time.monotonic()

    def _as_it_stands(self, name: str) -> WorkerRegistration:
        return registration(
            name, self._settings, self._spaces, self._engine.offer(), self._lab.targets
        )

    def _offer_returned_devices(self) -> None:
        """Registers anew once a device answers that did not before; leases are kept by that."""
        if self._lab.is_whole or not self._lab.look():
            return
        self._registration = self._as_it_stands(self._registration.name)
        self._register_patiently(self._worker_id)

    def _tell_status(self, status: WorkerStatus) -> None:
        if self._worker_id is None:
            return
        try:
            self._server.set_worker_status(self._worker_id, status)
        except ArchfrontError as error:
            _logger.info("Could not tell the server that this worker is %s: %s", status, error)

    def _register_patiently(self, lost_id: str | None) -> str | None:
        """The worker's id, registered anew unless another slot did so since `lost_id`.

        None if the worker is to stop.
        """
        with self._registering:
            if self._worker_id != lost_id:
                return self._worker_id
            for pause_s in pauses_s():
                try:
                    registered = self._server.register_worker(self._registration)
                except (Unauthenticated, ScopeMissing, *FINAL_REFUSALS) as error:
                    self._give_up(error)
                    return None
                except ArchfrontError as error:
                    _logger.warning("Cannot register yet: %s", error)
                    if self._shutdown.wait(pause_s):
                        return None
                    continue
                self._worker_id, self._times = registered.worker_id, registered.times
                self._claim_key = uuid.uuid4().hex  # a key belongs to one request's content
                self._contact.registered(
                    self._worker_id, self._times.ttl_s + self._settings.claim_wait_s
                )
                _logger.info(
                    "Registered as %s with %d slots.", self._registration.name, self._settings.slots
                )
                return self._worker_id
        return None

    def _give_up(self, error: ArchfrontError) -> None:
        self._refusal = error
        self._shutdown.drain()

    def _work_slot(self, slot: int) -> None:
        pauses = pauses_s()
        while not self._shutdown.is_draining:
            try:
                claimed = self._claim(slot)
                pauses = pauses_s()
                if claimed is not None:
                    self._work_off(*claimed)
            except WorkerNotFound:
                self._shutdown.wait(next(pauses))
                self._register_patiently(self._worker_id)
            except (Unauthenticated, ScopeMissing) as error:
                self._give_up(error)
            except ArchfrontError as error:
                _logger.warning("Cannot claim: %s", error)
                self._shutdown.wait(next(pauses))
            except Exception:
                _logger.exception("A stage could not be worked off")
                self._shutdown.wait(next(pauses))

    def _claim(self, slot: int) -> tuple[LeaseGrant, Place] | None:
        # One waits for all slots: what becomes ready needs but one request to be there.
        with self._claiming:
            place = None if self._shutdown.is_draining else self._engine.place(slot)
            if place is None:
                self._shutdown.wait(_LOOK_FOR_ROOM_EVERY_S)
                return None
            grant = None
            try:
                grant = self._claim_one()
            finally:
                if grant is None:
                    place.close()
            return None if grant is None else (grant, place)

    def _claim_one(self) -> LeaseGrant | None:
        if self._worker_id is None:
            return None
        grant = self._server.claim(
            self._worker_id, self._settings.claim_wait_s, key=self._claim_key
        )
        self._contact.heard()
        # Kept until there was an answer: had it been lost, the same lease comes again.
        self._claim_key = uuid.uuid4().hex
        return grant

    def _work_off(self, grant: LeaseGrant, place: Place) -> None:
        try:
            if self._shutdown.is_draining:
                self._attempts.hand_back(grant)
                return
            _logger.info(
                "Begins %s trial %d %s.", grant.experiment_name, grant.trial_number, grant.stage
            )
            self._attempts.work_off(grant, place, stop_margin_s=self._times.stop_margin_s)
        finally:
            place.close()


def pauses_s() -> Iterator[float]:
    """Seconds between retries: doubling, each drawn anew so that a fleet does not beat as one."""
    longest_s = _FIRST_RETRY_S
    while True:
        yield random.uniform(longest_s / 2, longest_s)
        longest_s = min(2 * longest_s, _LONGEST_RETRY_S)
