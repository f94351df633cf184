"""The fleet: its devices, and the whole of it at one moment."""

from fastapi import APIRouter

from service.api.guard import needs
from service.api.reading import DatabaseOf
from service.api.strict_route import StrictRoute
from service.schemas.fleet import DeviceView, FleetView
from service.schemas.pages import Page
from service.use_cases.list_devices import list_devices
from service.use_cases.read_fleet import read_fleet

router = APIRouter(
    prefix="/v1", tags=["fleet"], route_class=StrictRoute, dependencies=[needs("read")]
)


@router.get("/devices", operation_id="list_devices")
def devices(database: DatabaseOf) -> Page[DeviceView]:
    """The devices that networks can be measured on, by name."""
    with database.read() as connection:
        return Page(items=tuple(list_devices(connection)))


@router.get("/fleet", operation_id="read_fleet")
def fleet(database: DatabaseOf) -> FleetView:
    """Workers, devices, and the stages that wait, with the reason where nobody can take them."""
    with database.read() as connection:
        return read_fleet(connection)
