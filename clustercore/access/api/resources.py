"""Who I am, and my tokens."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clustercore.access.api import KnownPermission, StrictSerializer, requester
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.models import ApiToken
from clustercore.access.selectors import tokens_of
from clustercore.access.services.tokens import make_token, revoke_token_of

_SCOPES = [permission.value for permission in Permission]


class MeSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=[role.value for role in Role], allow_null=True, help_text="Null: none yet.")
    permissions = serializers.ListField(
        child=serializers.ChoiceField(choices=_SCOPES), help_text="What the role allows, as far as the token does."
    )
    token_id = serializers.IntegerField(allow_null=True, help_text="The token in use; null for a session.")


class TokenSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField(help_text="What it is for.")
    prefix = serializers.CharField(help_text="The first letters, so that tokens can be told apart.")
    scopes = serializers.ListField(child=serializers.CharField())
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField(allow_null=True, help_text="Null: when it is revoked.")
    last_used = serializers.DateTimeField(allow_null=True)
    revoked = serializers.DateTimeField(allow_null=True)


class NewTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="The token itself, this once: only its hash is kept.")


class TokenListSerializer(serializers.Serializer[Any]):
    results = TokenSerializer(many=True)


class TokenWishSerializer(StrictSerializer):
    name = serializers.CharField(max_length=80, help_text="What it is for.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=_SCOPES),
        min_length=1,
        help_text="What it may do: nothing that you may not.",
    )
    expires = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="With a time zone; left out: when it is revoked."
    )


class Me(APIView):
    """Who asks."""

    permission_classes = [KnownPermission]

    @extend_schema(operation_id="me", tags=["access"], summary="Who I am and what I may", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Every known person may ask, also one without a role, and any token."""
        return Response(_me(requester(request)))


class Tokens(APIView):
    """One's own tokens. Making one takes a session: a token that makes tokens would outlive its own end."""

    permission_classes = [KnownPermission]

    @extend_schema(
        operation_id="tokens_list", tags=["access"], summary="My tokens, newest first", responses=TokenListSerializer
    )
    def get(self, request: Request) -> Response:
        """Revoked ones are among them for a month. The keys themselves are not kept, and cannot be shown."""
        return Response({"results": [_token(row) for row in tokens_of(requester(request))]})

    @extend_schema(
        operation_id="tokens_create",
        tags=["access"],
        summary="Make a token",
        request=TokenWishSerializer,
        responses={201: NewTokenSerializer},
    )
    def post(self, request: Request) -> Response:
        """It takes a session, not a token. The key is in the answer, this once."""
        wish = TokenWishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        given = wish.validated_data
        actor = requester(request)
        scopes = frozenset(Permission(scope) for scope in given["scopes"])
        row, token = make_token(actor, actor, given["name"], scopes, given["expires"])
        return Response({**_token(row), "token": token}, status=201, headers={"Cache-Control": "no-store"})


class OneToken(APIView):
    """One of one's own tokens."""

    permission_classes = [KnownPermission]

    @extend_schema(operation_id="tokens_revoke", tags=["access"], summary="Revoke a token", responses={204: None})
    def delete(self, request: Request, token_id: int) -> Response:
        """It opens nothing from now on. A token may revoke itself, and no other."""
        actor = requester(request)
        revoke_token_of(actor, token_id, owner_id=actor.user_id)
        return Response(status=204)


def _me(identity: Identity) -> dict[str, Any]:
    return {
        "id": identity.user_id,
        "name": identity.name,
        "role": identity.role,
        "permissions": [permission for permission in Permission if identity.may(permission)],
        "token_id": identity.token_id,
    }


def _token(row: ApiToken) -> dict[str, Any]:
    data: dict[str, Any] = TokenSerializer(row).data
    return data
