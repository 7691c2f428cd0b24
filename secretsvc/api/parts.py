"""Parts of the application: one of each, for as long as the process lives. `app.parts` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from secretsvc.api.audit.log import AuditLog
    from secretsvc.api.auth.authenticator import Authenticator
    from secretsvc.api.bodies import Bodies
    from secretsvc.api.health import Health
    from secretsvc.api.limits import BodyRoom, Rates, RequestRoom
    from secretsvc.api.metrics import Metrics
    from secretsvc.api.plans import Planner
    from secretsvc.api.readers import Readers
    from secretsvc.api.service import Service
    from secretsvc.api.settings import Limits
    from secretsvc.api.transport.draining import Draining


class Parts(NamedTuple):
    """Everything that routes and the middleware around them need."""

    limits: Limits
    planner: Planner
    service: Service
    health: Health
    metrics: Metrics
    rates: Rates
    room: BodyRoom
    places: RequestRoom
    readers: Readers
    bodies: Bodies
    authenticator: Authenticator
    draining: Draining
    audit: AuditLog
