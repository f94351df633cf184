"""The installed search spaces."""

from typing import Annotated

from fastapi import APIRouter, Path

from search_spaces.registry import UnknownSearchSpace
from search_spaces.space import SearchSpace
from service.api.guard import needs
from service.api.reading import RegistryOf
from service.api.strict_route import StrictRoute
from service.domain.errors import SearchSpaceNotFound
from service.schemas.pages import Page
from service.schemas.search_spaces import SearchSpaceDetail, SearchSpaceSummary

router = APIRouter(prefix="/v1/search-spaces", tags=["search spaces"], route_class=StrictRoute)


@router.get("", operation_id="list_search_spaces", dependencies=[needs("read")])
async def list_search_spaces(registry: RegistryOf) -> Page[SearchSpaceSummary]:
    """What may be searched, by name."""
    spaces = sorted(registry, key=lambda space: space.name)
    return Page(items=tuple(SearchSpaceSummary(**_summary(space)) for space in spaces))


@router.get("/{name}", operation_id="read_search_space", dependencies=[needs("read")])
async def read_search_space(
    registry: RegistryOf, name: Annotated[str, Path(max_length=200)]
) -> SearchSpaceDetail:
    """All of one search space: parameters, metrics, citation and hand-made baseline."""
    try:
        space = registry.find(name).space
    except UnknownSearchSpace as error:
        raise SearchSpaceNotFound(str(error)) from None
    return SearchSpaceDetail(
        **_summary(space),
        description=space.description,
        space=space.space,
        metrics=space.all_metrics,
        baseline=space.baseline,
    )


def _summary(space: SearchSpace) -> dict[str, object]:
    return {
        "name": space.name,
        "version": space.version,
        "title": space.title,
        "citation": space.citation,
        "parameter_count": len(space.space.parameters),
    }
