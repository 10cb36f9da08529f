"""Whether there is a network to look for models and datasets in; without one they are looked for on this machine alone."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

NO_NETWORK = "there is no network to look for it, and it isn't on this machine"


@contextmanager
def asked_once() -> Iterator[bool]:
    """Whether the network is there. While it isn't, nobody waits for it, which would take a minute."""
    constants: Any = import_module("huggingface_hub.constants")
    if constants.HF_HUB_OFFLINE or _is_there(constants.ENDPOINT):
        yield not constants.HF_HUB_OFFLINE
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield False
    finally:
        constants.HF_HUB_OFFLINE = False


def _is_there(address: str) -> bool:
    """Whether the name of a server is known; a proxy would ask for it elsewhere."""
    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(address).hostname, None)
    except OSError:
        return False
    return True
