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

from cdds.errors import AccessDenied, JobError, NotFound
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
class Rights:
    """What a policy has said of a principal and an action, to hold things against.

    Attributes:
        action: what the principal wants to do.
        visible: whose things it sees; None for all of its tenant.
        allowed: whose things it may do that to; None for all of its tenant.
    """

    action: Action
    visible: frozenset[str] | None
    allowed: frozenset[str] | None

    def check(self, owner: str, what: str) -> None:
        """Refuse a thing by its owner.

        Raises:
            NotFound: the principal does not see it.
            AccessDenied: it sees the thing, and may not do that to it.
        """
        if self.visible is not None and owner not in self.visible:
            raise NotFound(f"there is no such {what}")
        if self.allowed is not None and owner not in self.allowed:
            raise _denied(self.action, of_others=bool(self.allowed))


@attrs.frozen
class Access:
    """Asks a policy, and turns its answers into filters and refusals.

    The policy is the host's: it is asked before a transaction begins, never within one.
    """

    policy: Policy = attrs.field(factory=PermissionPolicy)

    def owners(self, principal: Principal, action: Action) -> frozenset[str] | None:
        """Return whose things a principal may do that to; None for all of the tenant.

        Raises:
            AccessDenied: nobody's.
        """
        owners = self._ask(principal, action)
        if owners is not None and not owners:
            raise _denied(action, of_others=False)
        return owners

    def rights(self, principal: Principal, action: Action) -> Rights:
        """Return what is needed to judge things by their owners.

        Raises:
            AccessDenied: the principal sees nothing at all.
        """
        return Rights(action, self.owners(principal, Action.SEE), self._ask(principal, action))

    def require(self, principal: Principal, action: Action, owner: str | None = None) -> None:
        """Refuse what a principal may not do to the things of an owner, itself if none is given.

        Raises:
            AccessDenied: it may not.
        """
        owners = self.owners(principal, action)
        if owners is not None and (owner or principal.user) not in owners:
            raise _denied(action, of_others=True)

    def _ask(self, principal: Principal, action: Action) -> frozenset[str] | None:
        _check(principal)
        owners = self.policy.owners(principal, action)
        if owners is None:
            return None
        return frozenset([owners] if isinstance(owners, str) else owners)


def _check(principal: object) -> None:
    if not isinstance(principal, Principal):
        raise AccessDenied("a call needs a Principal, which the host makes")


def _denied(action: Action, *, of_others: bool) -> AccessDenied:
    what = "what belongs to another user" if of_others else "anything here"
    return AccessDenied(f"you may not {action} {what}; ask your administrator for the permission")
