"""`pytest --shapeguard=mypackage`: a test run with whole packages under guard; without the option, nothing is loaded."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shapeguard.runtime.hook import GuardedImports

_OPTION = "shapeguard"
_HOOK: pytest.StashKey[GuardedImports] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the ini option of the same name."""
    parser.getgroup(_OPTION).addoption(
        f"--{_OPTION}",
        action="append",
        metavar="PACKAGES",
        help="packages to put under guard as they are imported: their jaxtyping annotations are checked at every call. "
        "Separated by commas.",
    )
    parser.addini(_OPTION, "packages to put under guard as they are imported", type="args")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Install the hook before any conftest can import the packages."""
    _install(early_config, early_config.known_args_namespace.shapeguard)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Install the hook if a conftest has named this plugin, so that it comes late."""
    _install(config, config.getoption(_OPTION))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the hook away again."""
    hook = config.stash.get(_HOOK, None)
    if hook is not None:
        hook.uninstall()
        del config.stash[_HOOK]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is guarded, and how."""
    hook = config.stash.get(_HOOK, None)
    if hook is None:
        return None
    from shapeguard.runtime import mode  # noqa: PLC0415 - loaded when the plugin is asked for

    packages = ", ".join(hook.packages)
    return f"{_OPTION}: {packages}{'' if mode.on else f' ({mode.VARIABLE}={mode.current()})'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the packages that no test has imported: misspelled, perhaps."""
    hook = config.stash.get(_HOOK, None)
    # With pytest-xdist the workers import, and this process doesn't hear of it.
    if hook is not None and hook.unmet and not config.pluginmanager.hasplugin("dsession"):
        message = f"{_OPTION}: no module of {', '.join(hook.unmet)} was imported, so nothing of it was guarded"
        terminalreporter.write_line(message, yellow=True)


def _install(config: pytest.Config, option: list[str] | None) -> None:
    chosen = option if option is not None else config.getini(_OPTION)
    names = (name.strip() for part in chosen for name in part.split(","))
    packages = tuple(dict.fromkeys(name for name in names if name))
    if not packages or _HOOK in config.stash:
        return
    try:
        from shapeguard.runtime.hook import guard_imports  # noqa: PLC0415 - loaded when the plugin is asked for

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            config.stash[_HOOK] = guard_imports(*packages)
        for entry in caught:
            config.issue_config_time_warning(entry.category(str(entry.message)), stacklevel=2)
    except (ValueError, UserWarning) as error:  # a warning is raised where the run makes it an error
        raise pytest.UsageError(str(error)) from None
