"""Ray started on this machine, reachable by nobody else and silent, or joined where it runs."""

import contextlib
import logging
import os
import secrets
import shutil
import site
import socket
import stat
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tagkin.errors import EngineError, LibraryError, first_line
from tagkin.hardware import usable_cores
from tagkin.locking import only_one

# Only rows and vectors go through Ray's shared memory, some chunks of them at a time.
_OBJECT_STORE_BYTES = 256 * 2**20
_PREFIX, _LEADER = "tagkin-ray-", "leader"  # of a folder, and of its lock
_UNLOCKED_SECONDS = 2.0  # that a new folder may be without its lock
_LONGEST_FOLDER = 20  # Ray puts sockets deep below it, whose paths may have 107 bytes

_SILENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning for every user
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
_ANSWER_SECONDS = 10.0


@contextlib.contextmanager
def ray_session(address: str | None) -> Iterator[ModuleType]:
    """Gives the module ``ray``, connected for the time of the block.

    A Ray to which this process is already connected is used as it is, and stays.

    Args:
        address: Of a running cluster, as Ray writes it: ``auto``, ``host:6379`` or
            ``ray://host:10001``. If None, Ray is started for this process: it listens on the
            loopback address only, asks for a token, reports nothing, and ends with this process,
            however that ends.

    Raises:
        EngineError: Ray isn't installed, can't be started, or can't be reached.
    """
    changes = {**_SILENT, **({} if address else _private())}
    ours = False
    try:
        with _environment(changes):  # Ray reads some of it when it is imported, and passes it on
            ray = _import_ray()
            ours = not ray.is_initialized()
            if not ours:
                yield ray
                return
            _reread_environment()
            with _started(ray, address):
                yield ray
    finally:
        if ours:
            _reread_environment()


@contextlib.contextmanager
def _started(ray: Any, address: str | None) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {"address": address}
        if not address:
            parent = _short_folder()
            _sweep(Path(parent))
            folder = tempfile.TemporaryDirectory(
                prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True
            )
            options = {
                "address": "local",  # whatever RAY_ADDRESS says
                "num_cpus": usable_cores(),
                "num_gpus": 0,
                "object_store_memory": _OBJECT_STORE_BYTES,
                "include_dashboard": False,
                "_temp_dir": stack.enter_context(folder),
            }
            stack.enter_context(only_one(Path(folder.name), _LEADER, "leader of Ray"))
            stack.enter_context(_environment(_empty_home(Path(folder.name) / "home")))
        stack.enter_context(_no_printing(ray))
        stack.callback(ray.shutdown)  # before the folder goes
        try:
            if address:
                _knock(address)
            with warnings.catch_warnings():
                # Ray's children run another program at once, so that nothing of Lance is used.
                warnings.filterwarnings("ignore", message="lance is not fork-safe")
                ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        # Each way to fail has its own: ConnectionError, RuntimeError, ValueError, OSError and more.
        except Exception as error:
            what = f"reach the Ray cluster at {address}" if address else "start Ray"
            advice = (
                "check the address, and that Ray and Python have the same versions there"
                if address
                else "the same command without --engine ray does all in one process"
            )
            raise EngineError(f"can't {what}: {first_line(error)}; {advice}") from error
        yield


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise EngineError(
            "--engine ray needs Ray, which isn't installed: pip install 'tagkin[ray]', or leave "
            "the option out"
        ) from error
    return ray


def _reread_environment() -> None:
    """Has Ray look at how it should authenticate, which it else does once in a process.

    A second Ray of this process would be refused with the first one's token. There is no public
    way to do that; Ray's own set-up and tests do the same.
    """
    with contextlib.suppress(ImportError, AttributeError):  # of another version
        from ray._raylet import AuthenticationTokenLoader, Config

        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


def _private() -> dict[str, str]:
    return {
        # Without clusters Ray takes 127.0.0.1 for its address, and doesn't look for another one.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_worker_niceness": "0",  # as without Ray, else all other programs come first
        "RAY_AUTH_MODE": "token",  # against other users of this machine
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


def _empty_home(home: Path) -> dict[str, str]:
    """Makes a home folder for Ray's processes, and returns what leads them there.

    Whether its statistics are on or off, Ray asks the addresses of three clouds whether this is a
    machine of theirs, unless the home folder has the description of a cluster.
    """
    home.mkdir()
    (home / "ray_bootstrap_config.yaml").write_text("{}\n", "utf-8")
    packages = site.getuserbase()  # those of `pip install --user`
    return {"HOME": str(home), "USERPROFILE": str(home), "PYTHONUSERBASE": packages}


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _no_printing(ray: Any) -> Iterator[None]:
    """Keeps Ray from telling of each dead worker on stdout, which ``log_to_driver`` leaves on.

    Ray has no public way to do that; its own debugger does the same.
    """
    module, name = ray._private.worker, "_worker_logs_enabled"
    before = getattr(module, name, True)
    setattr(module, name, False)
    try:
        yield
    finally:
        setattr(module, name, before)


def _knock(address: str) -> None:
    """Raises if nothing listens at an address, for which Ray would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS):
            pass


def _sweep(parent: Path) -> None:
    """Removes the folders of leaders that were killed, who left their locks."""
    if os.name != "posix":
        return
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(LibraryError, OSError):
            status = left.lstat()
            ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
            if ours and abs(time.time() - status.st_mtime) > _UNLOCKED_SECONDS:
                with only_one(left, _LEADER, "leader of Ray"):
                    shutil.rmtree(left, ignore_errors=True)


def _short_folder() -> str:
    usual, short = tempfile.gettempdir(), "/tmp"  # noqa: S108 - a folder of our own is made in it
    return short if len(usual) > _LONGEST_FOLDER and os.path.isdir(short) else usual  # noqa: PTH112
