"""Single objects on object storage: read with their version, written in one step.

A write may depend on what is there: so two machines don't undo each other's.
"""

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

from tagkin.files import atomic_file
from tagkin.remote_files import load_obstore, open_store, told_of_store
from tagkin.remote_paths import RemotePath


class ChangedMeanwhileError(Exception):
    """An object is no longer the one that was read, or is there already."""


def read_object(path: RemotePath) -> tuple[bytes, str]:
    """Returns the content of an object and its version.

    Raises:
        OSError: It isn't there (FileNotFoundError), or the store can't be asked.
    """
    with told_of_store(path):
        answer = load_obstore().get(open_store(path.root_address), path.key)
        return bytes(answer.bytes()), str(answer.meta["e_tag"])


def write_file(path: Path, content: bytes) -> None:
    """Writes a small file in one step, here or on a store.

    Raises:
        OSError: It can't be written.
    """
    if isinstance(path, RemotePath):
        write_object(path, content)
        return
    with atomic_file(path) as file:
        file.write_bytes(content)


def write_object(
    path: RemotePath, content: bytes | Path, *, version: str | None = None, new: bool = False
) -> str:
    """Writes an object in one step and returns its version.

    Args:
        path: Where.
        content: The bytes, or the file that holds them.
        version: Write only over this version of it.
        new: Write only if there is none.

    Raises:
        ChangedMeanwhileError: The version is another one, or there is one already.
        OSError: The store can't be written.
    """
    obstore = load_obstore()
    exceptions = obstore.exceptions

    mode: Any = "create" if new else {"e_tag": version} if version else "overwrite"
    with told_of_store(path, "written"):
        try:
            whole = content if isinstance(content, Path) else io.BytesIO(content)
            # Conditions and large files in parts exclude each other; what has one is small.
            done = obstore.put(
                open_store(path.root_address),
                path.key,
                whole,
                mode=mode,
                use_multipart=None if mode == "overwrite" else False,
            )
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise ChangedMeanwhileError(str(path)) from error
        except (FileNotFoundError, exceptions.NotFoundError) as error:
            if version:  # somebody has deleted it
                raise ChangedMeanwhileError(str(path)) from error
            raise
    return str(done["e_tag"])


def delete_object(path: RemotePath) -> None:
    """Deletes an object; one that isn't there is no mistake.

    Raises:
        OSError: The store can't be written.
    """
    with suppress(FileNotFoundError), told_of_store(path, "written"):
        load_obstore().delete(open_store(path.root_address), path.key)


def list_objects(folder: RemotePath) -> dict[str, str]:
    """Returns the versions of all objects below a folder, by their keys from there on.

    Raises:
        OSError: The store can't be asked.
    """
    prefix = f"{folder.key}/"
    found = {}
    with told_of_store(folder):
        for chunk in load_obstore().list(open_store(folder.root_address), prefix):
            for entry in chunk:
                found[entry["path"].removeprefix(prefix)] = str(entry["e_tag"])
    return found


def names_below(folder: RemotePath) -> list[str]:
    """Returns the names of the objects and folders right below a folder, in order.

    Raises:
        OSError: The store can't be asked.
    """
    prefix = f"{folder.key}/"
    with told_of_store(folder):
        found = load_obstore().list_with_delimiter(open_store(folder.root_address), prefix)
    keys = [*found["common_prefixes"], *(entry["path"] for entry in found["objects"])]
    return sorted(key.removeprefix(prefix).rstrip("/") for key in keys)
