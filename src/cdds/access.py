"""Who may do what to whose things.

Place: near the ground; the service asks it on every call, and nothing else does. It knows no
database and authenticates nobody: the host makes a `Principal` of whoever it has let in.

What belongs to whom:

* a **tenant** owns its jobs, runs and artifacts; for another tenant they do not exist;
* within it each job, with its runs and artifacts, belongs to the **user** who added it;
* a certificate belongs to its user alone: nobody else can set it, or use it as their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import attrs

from cdds.errors import AccessDenied, JobError
from cdds.wording import line


class Permission(StrEnum):
    """What a host grants to a principal."""

    USE = "use"
    """Use the service at all: own jobs, runs, artifacts and certificate."""
    SEE_ALL = "see all"
    """See the jobs, runs and artifacts of all users of the tenant."""
    CHANGE_ALL = "change all"
    """See, change, run, delete and download them as if they were one's own."""
    CHOOSE_RECIPIENTS = "choose recipients"
    """Have exports sealed for others beside the owner."""
    AUDIT = "audit"
    """Read and verify the tenant's audit trail."""


class Action(StrEnum):
    """What a call wants to do to a thing."""

    SEE = "see"
    CHANGE = "change"
    RUN = "run"
    DELETE = "delete"
    DOWNLOAD = "download"
    SET_CERTIFICATE = "set the certificate of"
    CHOOSE_RECIPIENTS = "choose recipients for"
    AUDIT = "audit"


def _permissions(value: Iterable[Permission | str]) -> frozenset[Permission]:
    try:
        return frozenset(map(Permission, [value] if isinstance(value, str) else value))
    except (ValueError, TypeError):
        known = ", ".join(map(repr, map(str, Permission)))
        raise JobError(f"a principal's permissions are among {known}") from None


def _user(value: str) -> str:
    return line(value, "a principal's user")


def _tenant(value: str) -> str:
    return line(value, "a principal's tenant")


@attrs.frozen
class Principal:
    """On whose behalf a call is made.

    Attributes:
        user: who, as the host names them; 1 to 200 characters.
        tenant: whose customer; 1 to 200 characters.
        permissions: what the host grants; `Permission.USE` unless told otherwise.

    Raises:
        JobError: a name is no text of one line, or a permission is unknown.
    """

    user: str = attrs.field(converter=_user)
    tenant: str = attrs.field(converter=_tenant)
    permissions: frozenset[Permission] = attrs.field(
        default=frozenset({Permission.USE}), converter=_permissions
    )


class Policy(Protocol):
    """Rules of a host's own, in place of `PermissionPolicy`."""

    def owners(self, principal: Principal, action: Action) -> Iterable[str] | None:
        """Return whose things, within the tenant, a principal may do that to.

        None stands for all users of the tenant, and an empty answer for nobody's.
        """
        ...


class PermissionPolicy:
    """The usual rules: one's own things, and all of the tenant's with a permission for it."""

    def owners(self, principal: Principal, action: Action) -> Iterable[str] | None:
        """Return whose things a principal may do that to."""
        granted = principal.permissions
        if _NEEDS.get(action, Permission.USE) not in granted:
            return ()
        if granted & _REACH.get(action, {Permission.CHANGE_ALL}):
            return None
        return (principal.user,)


_NEEDS = {
    Action.AUDIT: Permission.AUDIT,
    Action.CHOOSE_RECIPIENTS: Permission.CHOOSE_RECIPIENTS,
}
"""Without which permission a principal may not do that at all, if not `Permission.USE`."""

_REACH: dict[Action, set[Permission]] = {
    Action.AUDIT: {Permission.AUDIT},
    Action.SEE: {Permission.SEE_ALL, Permission.CHANGE_ALL},
    Action.SET_CERTIFICATE: set(),
}
"""Which permissions reach to the things of all users, if not `Permission.CHANGE_ALL`."""


@attrs.frozen
class Access:
    """Asks a policy, and turns its answers into filters and refusals."""

    policy: Policy = attrs.field(factory=PermissionPolicy)

    def owners(self, principal: Principal, action: Action) -> frozenset[str] | None:
        """Return whose things a principal may do that to; None for all of the tenant.

        Raises:
            AccessDenied: nobody's.
        """
        _check(principal)
        owners = self.policy.owners(principal, action)
        if owners is None:
            return None
        some = frozenset([owners] if isinstance(owners, str) else owners)
        if not some:
            raise AccessDenied(f"you may not {action} anything here; ask for the permission")
        return some

    def require_own(self, principal: Principal, action: Action) -> None:
        """Refuse what a principal may not do to things of its own.

        Raises:
            AccessDenied: it may not.
        """
        _check(principal)
        self.require(principal, action, principal.user)

    def require(self, principal: Principal, action: Action, owner: str) -> None:
        """Refuse what a principal may not do to the things of `owner`.

        Raises:
            AccessDenied: it may not.
        """
        owners = self.owners(principal, action)
        if owners is not None and owner not in owners:
            raise AccessDenied(
                f"you may not {action} what belongs to another user; ask for the permission"
            )


def _check(principal: object) -> None:
    if not isinstance(principal, Principal):
        raise AccessDenied("a call needs a Principal, which the host makes")
