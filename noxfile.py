"""The checks of the project: `nox` runs all that must pass; the slow ones are run by name."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "layers", "tests"]
nox.options.error_on_missing_interpreters = True

BENCHMARKS: dict[str, tuple[str, ...]] = {
    "databases": ("test", "peers"),
    "imports": (),
    "memory": (),
    "pages": ("test",),
    "reading": (),
    "run": (),
    "scheduling": ("test", "peers"),
    "stages": (),
    "transforms": (),
}
"""What can be measured, and the groups of packages that it needs besides the library."""

PYPROJECT = nox.project.load_toml("pyproject.toml")


def install_group(session: nox.Session, *groups: str) -> None:
    session.install(*nox.project.dependency_groups(PYPROJECT, *groups))


def install_wheel(session: nox.Session) -> None:
    """Install the library as its users get it: from the wheel, with nothing of src on the path."""
    session.install("build")
    out = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--wheel", "--outdir", str(out), ".", silent=True)
    session.install(str(max(out.glob("*.whl"), key=lambda path: path.stat().st_mtime)))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the built wheel, on all processors; arguments after -- go to pytest."""
    install_wheel(session)
    install_group(session, "test")
    session.install("./examples/cdds-csv")  # on the wheel, which is what it asks for
    at_once = ("-n", "auto", "--dist", "worksteal")
    # None takes so long: one that hangs says where, instead of keeping all others waiting.
    # By a thread: commands that run in the process of the tests use its timer themselves.
    limit = ("--timeout", "900", "--timeout-method", "thread")
    session.run("pytest", "-m", "not slow", *at_once, *limit, *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take minutes: large inputs, memory."""
    install_wheel(session)
    install_group(session, "test")
    limit = ("--timeout", "7200", "--timeout-method", "thread")
    session.run("pytest", "-m", "slow", *limit, *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the parsers: `nox -s fuzz -- SECONDS NAME…`, by default all, 600 seconds each.

    Before that a bug is planted for each harness, and must be found.
    """
    seconds, *names = session.posargs or ["600"]
    install_wheel(session)
    install_group(session, "fuzz")
    session.run("python", "-m", "fuzz.planted")
    session.run("python", "-m", "fuzz", "--seconds", seconds, *names)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    install_group(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types, strictly."""
    session.install(".")
    install_group(session, "types", "test")
    session.install("nox")
    session.run("mypy")


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports go down only."""
    session.install(".")
    install_group(session, "layers")
    session.run("lint-imports")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed: `nox -s bench -- NAME OPTIONS`; without a name it is `run`."""
    named = session.posargs[:1] and not session.posargs[0].startswith("-")
    name, *options = session.posargs if named else ["run", *session.posargs]
    if name not in BENCHMARKS:
        session.error(f"there is no benchmark {name}; known are {', '.join(BENCHMARKS)}")
    install_wheel(session)
    for group in BENCHMARKS[name]:
        install_group(session, group)
    session.run("python", f"benchmarks/{name}.py", *options, env={"PYTHONPATH": "tests/real"})
