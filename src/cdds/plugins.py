"""Sources and sinks that other distributions bring, found by the name that a URL begins with.

Place: below the sources and the sinks, whose openers ask here. A distribution offers its plugins
as entry points, of the groups ``cdds.sources`` and ``cdds.sinks``:

    [project.entry-points."cdds.sources"]
    crm = "cdds_crm:CrmSource"

A plugin is a class or function that takes a URL, and options by name, and returns a source or a
sink. It is loaded when its name is asked for, and no other is loaded with it: what is broken harms
its own name alone. No message holds a URL, which may hold a password.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from traceback import extract_tb
from typing import Any, Literal, TypeAlias

import attrs

from cdds._version import __version__
from cdds.errors import CddsError, JobError, PluginError
from cdds.location import printable

_log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["source", "sink"]
"""What a plugin makes."""

Factory: TypeAlias = Callable[..., Any]
"""Called with a URL, and with options by name."""

KINDS: tuple[Kind, ...] = ("source", "sink")

_OURS = "cdds-sdk"
_BUILTIN: Mapping[Kind, Mapping[str, str]] = {
    "source": {
        "sql": "cdds.sources.sql:Sql",
        "ucs": "cdds.sources.contact_history:ContactHistory",
    },
    "sink": {},
}
"""What comes with the library, by name, written as entry points are: ``module:object``."""

_MAKES = {"source": "snapshot", "sink": "create"}
"""The method by which that which a plugin returns is known."""

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

_SCHEME = re.compile(r"[a-z][a-z0-9.-]*")  # RFC 3986, section 3.1, without the plus
_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<object>[\w.]+)\s*)?(\[.*\]\s*)?")


@attrs.frozen(kw_only=True)
class Plugin:
    """A source or a sink that a distribution offers; it need not be loaded, nor loadable.

    Attributes:
        kind: what it makes.
        name: what URLs begin with.
        reference: where it is, as ``module:object``.
        distribution: the name of the distribution that offers it.
        version: that distribution's version.
    """

    kind: Kind
    name: str
    reference: str
    distribution: str
    version: str

    def __str__(self) -> str:
        offered = f"{self.kind} plugin {self.name} of {self.distribution} {self.version}"
        return printable(offered)

    def load(self) -> Factory:
        """Return what makes the source or the sink.

        Raises:
            PluginError: it cannot be loaded, or is nothing that can be called.
        """
        if not _SCHEME.fullmatch(self.name):
            raise self._broken("no URL can begin with its name")
        match = _REFERENCE.fullmatch(self.reference)
        if match is None:
            raise self._broken("its entry point is not written as module:object")
        found = self._import(match["module"])
        for name in (match["object"] or "").split("."):
            try:
                found = getattr(found, name) if name else found
            except AttributeError as error:
                raise self._broken(f"{match['module']} has no {match['object']}") from error
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a module may import on being asked
                raise self._not_imported(error) from error
        if not callable(found):
            reference = printable(self.reference)
            raise self._broken(f"{reference} is a {type(found).__name__}, no class or function")
        return found  # type: ignore[no-any-return]

    def open(self, url: str, options: Mapping[str, Any]) -> Any:
        """Return the source or the sink for a URL.

        Raises:
            CddsError: the plugin refuses the URL or an option.
            PluginError: it cannot be loaded, or fails with an error of another kind.
        """
        factory = self.load()
        self._check(factory, url, options)
        try:
            made = factory(url, **options)
        except (CddsError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # each has errors of its own
            failure = _place(error)
        else:
            return self._made(made)
        # Raised out here, for the error of a driver may quote the URL with its password.
        raise self._broken(f"opening it failed with {failure}")

    def _import(self, module: str) -> Any:
        try:
            return importlib.import_module(module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # an exit, or what a framework skips and cancels with
            raise self._not_imported(error) from error

    def _not_imported(self, error: BaseException) -> PluginError:
        if isinstance(error, ModuleNotFoundError):
            missing = printable(error.name or "that it needs")
            return self._broken(f"there is no module {missing}")
        return self._broken(f"importing it failed with {_place(error)}")

    def _check(self, factory: Factory, url: str, options: Mapping[str, Any]) -> None:
        """Refuse options that it does not take.

        Raises:
            JobError: there are such, or one is missing.
            PluginError: it takes no URL, or more than that.
        """
        try:
            signature = inspect.signature(factory)
        except (TypeError, ValueError):  # something in C, which does not tell
            return
        try:
            signature.bind(url, **options)
        except TypeError:
            raise self._not_opened(signature, options) from None

    def _not_opened(self, signature: inspect.Signature, options: Mapping[str, Any]) -> CddsError:
        """Return what is wrong with options, or with what takes them; no value is told."""
        parameters = list(signature.parameters.values())
        if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
            return self._broken("it takes no URL")
        named = [one for one in parameters[1:] if one.kind in _BY_NAME]
        names = sorted(one.name for one in named)
        takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
        for name in options:
            if name not in names and (not takes_any or name == parameters[0].name):
                known = f"it takes {', '.join(names)}" if names else "it takes none"
                return JobError(f"the {self} takes no option {printable(name)}; {known}")
        for one in named:
            if one.default is one.empty and one.name not in options:
                return JobError(f"the {self} needs the option {one.name}")
        return self._broken("it cannot be called with a URL, and options by name")

    def _made(self, made: Any) -> Any:
        if not callable(getattr(made, _MAKES[self.kind], None)):
            raise self._broken(f"it returned a {type(made).__name__}, which is no {self.kind}")
        return made

    def _broken(self, reason: str) -> PluginError:
        return PluginError(f"the {self} is broken: {reason}")


def offered(kind: Kind) -> tuple[Plugin, ...]:
    """Return all plugins of a kind by their names, none of them loaded."""
    group = f"cdds.{kind}s"
    found = [*_builtin(kind)]
    for distribution, version, point in _entry_points(group):
        found.append(
            Plugin(
                kind=kind,
                name=point.name,
                reference=point.value,
                distribution=distribution,
                version=version,
            )
        )
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def find(kind: Kind, name: str) -> Plugin | None:
    """Return the plugin of that name, not loaded, or None where there is none.

    What comes with the library has its name whoever else offers one.

    Raises:
        PluginError: several distributions offer one.
    """
    return _ours(kind, name) or _only(name, offered(kind))


def get(kind: Kind, name: str) -> Plugin:
    """Return the plugin of that name, not loaded.

    Raises:
        JobError: there is none; the message lists those that there are.
        PluginError: several distributions offer one.
    """
    plugin = find(kind, name)
    if plugin is not None:
        return plugin
    known = ", ".join(names(kind))
    raise JobError(
        f"there is no {kind} plugin {printable(name)}; "
        + (f"known are {known}" if known else "none is installed")
    )


def names(kind: Kind) -> list[str]:
    """Return the names of all plugins of a kind, each once, as they may be shown."""
    return list(dict.fromkeys(printable(plugin.name) for plugin in offered(kind)))


def failure(plugin: Plugin, among: Sequence[Plugin]) -> str | None:
    """Return why a plugin cannot be used, None where it can; it is loaded for that.

    Args:
        plugin: one of those that are offered.
        among: all of them, of its kind.

    Raises:
        KeyboardInterrupt: somebody stops it.
    """
    try:
        used = _ours(plugin.kind, plugin.name) or _only(plugin.name, among)
        if used is not None and used != plugin:
            return f"the {plugin} is not used: {used} has its name, and comes with the library"
        plugin.load()
    except PluginError as error:
        return str(error)
    return None


def addressed(url: str) -> tuple[str, str] | None:
    """Return the name that a URL begins with, and what the plugin of that name is given.

    None where it begins with no such name: a path, or a URL of several, chained by ``::``.

    >>> addressed("ucs+postgresql://host/database")
    ('ucs', 'postgresql://host/database')
    >>> addressed("crm://host/x")
    ('crm', 'crm://host/x')
    """
    scheme, separator, _ = url.partition("://")
    name, plus, _ = scheme.lower().partition("+")
    if not separator or not _SCHEME.fullmatch(name):
        return None
    return name, url[len(name) + 1 :] if plus else url


def _builtin(kind: Kind) -> Iterator[Plugin]:
    for name, reference in _BUILTIN[kind].items():
        yield Plugin(
            kind=kind, name=name, reference=reference, distribution=_OURS, version=__version__
        )


def _ours(kind: Kind, name: str) -> Plugin | None:
    return next((plugin for plugin in _builtin(kind) if plugin.name == name), None)


def _only(name: str, among: Iterable[Plugin]) -> Plugin | None:
    """Return the one plugin of a name, None where there is none.

    Raises:
        PluginError: there are several.
    """
    found = [plugin for plugin in among if plugin.name == name]
    if len(found) > 1:
        raise PluginError(
            f"the {found[0].kind} plugin {printable(name)} is offered {len(found)} times, so none "
            f"of them is used: {_listed(found)}; leave one"
        )
    return found[0] if found else None


def _entry_points(group: str) -> Iterator[tuple[str, str, metadata.EntryPoint]]:
    """Yield the entry points of a group, each with its distribution's name and version.

    `metadata.entry_points` is not used: one file that cannot be read would take all with it.
    """
    seen = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
            if group not in text:
                continue
            name, version = map(str, (distribution.metadata["Name"], distribution.version))
            points = list(distribution.entry_points.select(group=group))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is its own harm alone
            _log.warning("a distribution's entry points cannot be read: %s", _place(error))
            continue
        # The path may lead to a distribution more than once; Python imports the first.
        if _normal(name) not in seen:
            seen.add(_normal(name))
            yield from ((name, version, point) for point in points)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # as the index of packages compares names


def _listed(plugins: list[Plugin]) -> str:
    names = [f"{plugin.distribution} {plugin.version}" for plugin in plugins]
    return printable(" and ".join(names))


def _place(error: BaseException) -> str:
    """Return the kind of an error and where it was raised; its text may hold anything."""
    places = [(place.filename, place.lineno) for place in extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    file, line = places[-1]
    return printable(f"{type(error).__name__} at {Path(file).name}:{line}")
