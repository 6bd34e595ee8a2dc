"""Services made ready: their addresses, whether they may be asked, and access to those that a plan needs."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from typing import Any

from darts.pipelines.auxiliary import LAYERS, layers_of
from darts.pipelines.fetch.plan import Plan, make_plan
from darts.pipelines.fetch.view import show_plan
from darts.pipelines.parameters import CatalogEndpoints, EndpointParameters, FeatureParameters
from darts.pipelines.tiles import Source, TileRef
from darts_acquisition.services.endpoints import endpoint, set_endpoints
from darts_acquisition.services.network import set_offline


def ask_at_given_addresses(parameters: CatalogEndpoints, *, offline: bool) -> None:
    """Ask the services at the addresses that were given; offline, nothing asks any."""
    set_offline(offline)
    names = [field.name for field in fields(EndpointParameters)]
    set_endpoints(**{name: getattr(parameters, name, None) for name in names})


def with_endpoints[P: FeatureParameters](parameters: P) -> P:
    """Return parameters with the addresses that this process asks, for processes with another environment."""
    addresses: dict[str, Any] = {field.name: endpoint(field.name) for field in fields(EndpointParameters)}
    return replace(parameters, **addresses)


def plan_and_connect(
    parameters: FeatureParameters, source: Source, todo: Sequence[TileRef], features: Collection[str], *, n_done: int
) -> Plan | None:
    """Show what will be fetched for features of tiles, and check that it can be; offline nothing will.

    Args:
        parameters: The resolved parameters.
        source: Where the images come from.
        todo: The tiles.
        features: Bands that will be made.
        n_done: Tiles that are done.

    Returns:
        What will be fetched, None if there is nothing to do or the run is offline.

    Raises:
        CredentialsError: If keys are missing or refused.
    """
    if parameters.offline or not todo:
        return None
    plan = make_plan(parameters, source, todo, layers=layers_of(features), n_done=n_done, loads=True)
    show_plan(plan)
    connect(parameters, source, plan)
    return plan


def connect(parameters: FeatureParameters, source: Source, plan: Plan) -> None:
    """Check the access to the services that a plan needs, and only to those.

    Raises:
        CredentialsError: If keys are missing or refused.
    """
    if plan.images:
        source.connect()
    for name, n_chunks in plan.chunks.items():
        if n_chunks:
            LAYERS[name].connect(parameters)
