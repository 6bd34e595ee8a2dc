"""Items of a STAC catalogue, searched with CQL2 filters and the manners of its service."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pystac
from pystac_client import ItemSearch
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry.base import BaseGeometry

from darts_acquisition.catalog.fields import LeftOut, usable_item
from darts_acquisition.catalog.nesting import read_json
from darts_acquisition.services.connections import same_host
from darts_acquisition.services.http import fetch_text
from darts_acquisition.services.retry import Service, TransientError
from darts_utils.errors import DartsError, DataError, ServiceError, with_kind
from darts_utils.names import shown
from darts_utils.search.periods import Period

_PAGE_ITEMS = 100
_IDS_A_QUERY = 100
MOST_PAGES = 10_000
"""Of one query: a million items."""

type Filter = dict[str, Any]


class _PoliteStacIO(StacApiIO):
    """Sends the requests of pystac-client through a service's limits and retries."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service
        self._home: SplitResult | None = None
        self._asked: set[str] = set()
        self._seen: set[tuple[str, ...]] = set()

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        self._check_new(href, method, parameters)
        if (method or "GET").upper() == "GET":
            return fetch_text(self._service, href, params=parameters, headers=headers, check=_check_whole)
        method = str(method).upper()
        return fetch_text(self._service, href, method=method, body=parameters, headers=headers, check=_check_whole)

    def json_loads(self, txt: str, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002  (as in the class above)
        """Return a page of an answer; unlike the usual reader, this one takes NaN, which then costs one item."""
        answer = _with_features(read_json(txt))
        ids = tuple(str(feature.get("id")) for feature in answer["features"] if isinstance(feature, dict))
        if ids and ids in self._seen:
            raise ServiceError(f"{self._service.name}: it gives the same page of items again. {self._service.advice}")
        self._seen.add(ids)
        return answer

    def _check_new(self, href: str, method: str | None, parameters: dict[str, Any] | None) -> None:
        """Do nothing with a request that was not sent before, unless there were too many: a search ends.

        Raises:
            ServiceError: If the catalogue leads to the same page again, on and on, or to another host.
        """
        service, asked = self._service, json.dumps([href, method, parameters], sort_keys=True, default=str)
        if asked in self._asked:
            raise ServiceError(f"{service.name}: {href} leads to itself as the next page. {service.advice}")
        if len(self._asked) >= MOST_PAGES:
            raise ServiceError(
                f"{service.name}: the search has more than {MOST_PAGES} pages. Search a smaller area or less time."
            )
        if self._home is None:
            self._home = urlsplit(href)
        if not same_host(self._home, urlsplit(href)):
            raise ServiceError(
                f"{service.name}: its next page is {href}, but only {self._home.hostname} is asked. {service.advice}"
            )
        self._asked.add(asked)


def _with_features(answer: Any) -> dict[str, Any]:
    """Return an answer that has a list of items; without one, an error would pass for a search that finds nothing."""
    if not isinstance(answer, dict) or not isinstance(answer.get("features"), list):
        raise TypeError(f"{shown(answer)} has no list of features")
    return {**answer, "links": [link for link in answer.get("links") or [] if isinstance(link, dict) and "rel" in link]}


def _check_whole(text: str) -> None:
    """Do nothing with an answer that is JSON, or that never was, such as the page of a wrong address.

    Raises:
        TransientError: If the answer begins as JSON and breaks off: some proxies shorten it and correct its length.
    """
    if text.lstrip().startswith("{"):
        try:
            read_json(text)
        except json.JSONDecodeError as error:
            raise TransientError(f"the answer breaks off after {len(text)} characters") from error


def search_items(
    service: Service,
    url: str,
    collection: str,
    *,
    intersects: BaseGeometry | None = None,
    period: Period = (None, None),
    where: Sequence[Filter] = (),
    query: Mapping[str, Filter] | None = None,
) -> Iterator[pystac.Item]:
    """Yield the items of one query, page by page.

    Args:
        service: The catalogue's limits and retries.
        url: Its address.
        collection: Collection to search.
        intersects: Area in EPSG:4326 that items must touch.
        period: First and last moment, both included.
        where: CQL2-JSON conditions that must all hold.
        query: Conditions of the query extension by property, for catalogues that know no CQL2.

    Raises:
        ServiceError: If the catalogue does not answer, or not with items.
    """
    condition = {"op": "and", "args": list(where)} if len(where) > 1 else next(iter(where), None)
    yield from _items(
        service,
        url,
        collections=[collection],
        intersects=intersects,
        datetime=None if period == (None, None) else list(period),
        filter=condition,
        filter_lang=None if condition is None else "cql2-json",
        query=query,
    )


def items_by_id(service: Service, url: str, collection: str, ids: Sequence[str]) -> dict[str, pystac.Item]:
    """Return the items with these ids in the order of the ids; those that the catalogue lacks are left out.

    Raises:
        ServiceError: If the catalogue does not answer, or not with items.
    """
    wanted = list(dict.fromkeys(ids))
    found = {
        item.id: item
        for first in range(0, len(wanted), _IDS_A_QUERY)
        for item in _items(service, url, collections=[collection], ids=wanted[first : first + _IDS_A_QUERY])
    }
    return {scene_id: found[scene_id] for scene_id in wanted if scene_id in found}


def _items(service: Service, url: str, **query: Any) -> Iterator[pystac.Item]:
    left_out = LeftOut(service.name)
    for feature in _features(service, url, **query):
        try:
            yield usable_item(feature)
        except DataError as error:
            left_out.add(feature.get("id") if isinstance(feature, dict) else feature, error)
    left_out.report()


def _features(service: Service, url: str, **query: Any) -> Iterator[Any]:
    """Yield what the catalogue calls items, page by page."""
    search = ItemSearch(f"{url}/search", stac_io=_PoliteStacIO(service), limit=_PAGE_ITEMS, **query)
    try:
        yield from search.items_as_dicts()
    except DartsError:
        raise
    except (APIError, pystac.STACError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ServiceError(
            f"{service.name}: {url}/search did not answer with STAC items ({with_kind(error)}). {service.advice}"
        ) from error


def at_most(name: str, limit: float) -> Filter:
    """Return the condition that a property is at most a limit; items without the property pass, for it is unknown."""
    prop = {"property": name}
    return {"op": "or", "args": [{"op": "<=", "args": [prop, limit]}, {"op": "isNull", "args": [prop]}]}


def one_of(name: str, values: Sequence[str]) -> Filter:
    """Return the condition that a property has one of these values."""
    return {"op": "in", "args": [{"property": name}, list(values)]}
