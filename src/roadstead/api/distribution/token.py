"""GET and POST /v2/token (distribution's token and OAuth2 specifications; contract.md, 1.1). What it says stands in token_service.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadstead.api.distribution.services import Context
from roadstead.api.messages import Response
from roadstead.errors import NotFound

if TYPE_CHECKING:
    from roadstead.api.distribution.token_service import TokenService


async def get(context: Context) -> Response:
    return await _service(context).answer(context.request)


async def post(context: Context) -> Response:
    return await _service(context).grant(context.request)


def _service(context: Context) -> TokenService:
    """Raises NotFound."""
    service = context.registry.token_service
    if service is None:
        raise NotFound("this server has no accounts, and so no tokens: requests need none")
    return service
