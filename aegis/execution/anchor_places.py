"""Where the head of a journal is kept a second time: a folder of another volume, a bucket, a PostgreSQL server.

Belongs here: reading and replacing one small record, durably. What it is good for is
:mod:`aegis.execution.journal_anchor`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aegis.durable_files import replace_file
from aegis.errors import AnchorUnavailable, ConfigurationError, JournalError, StorageUnavailable
from aegis.execution.journal_anchor import AnchorPlace
from aegis.execution.journal_chain import JournalHead
from aegis.postgres import PostgresSchema
from aegis.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow.fs

_METADATA = sa.MetaData()
_ANCHORS = sa.Table(
    "journal_anchors",
    _METADATA,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
)
_HASH_LETTERS = 64


def configured_place(workspace: Workspace, account: str) -> AnchorPlace | None:
    """Return where the configuration keeps the head of an account's journal a second time; None for nowhere.

    Raises
    ------
    ConfigurationError
        The folder is the workspace's own, where it would be lost together with the journal.
    """
    settings = workspace.storage
    if settings.anchor_postgres_url is not None:
        return PostgresPlace(PostgresSchema.of(settings.anchor_postgres_url, workspace.name, "anchor"), account)
    location = settings.anchor_location
    if location is None:
        return None
    if "://" in location:
        return BucketPlace(location, workspace.name, account)
    folder = Path(location).resolve()
    if folder.is_relative_to(workspace.folder) or workspace.folder.is_relative_to(folder):
        raise ConfigurationError(
            f"storage.anchor_location {folder} and the workspace {workspace.folder} lie in each other, so what takes "
            "one takes both; give a folder of another volume"
        )
    return FolderPlace(folder, workspace.name, account)


class FolderPlace:
    """A file in a folder, which should be on another volume than the journal.

    Parameters
    ----------
    folder : Path
        There already: a volume that is not mounted is noticed by its absence.
    workspace, account : str
        Name the file.
    """

    def __init__(self, folder: Path, workspace: str, account: str) -> None:
        self._folder, self._account = folder, account
        self._file = folder / workspace / f"{account}.json"

    def __str__(self) -> str:
        """Return the file."""
        return str(self._file)

    def shares_volume_with(self, path: Path) -> bool:
        """Return whether the file is on the volume of `path`, which must exist."""
        return self._folder.stat().st_dev == path.stat().st_dev

    def read(self) -> JournalHead | None:
        """Return the head in the file."""
        with self._reached():
            content = self._file.read_bytes() if self._file.exists() else None
        return None if content is None else _head_from(content, self._account, str(self))

    def keep(self, head: JournalHead) -> JournalHead:
        """Replace the file, unless it holds a later head."""
        found = self.read()
        if found is not None and found.sequence >= head.sequence:
            return found
        with self._reached():
            replace_file(self._file, _content(head))
        return head

    def close(self) -> None:
        """Nothing is open."""

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            if not self._folder.is_dir():
                raise FileNotFoundError(f"there is no folder {self._folder}")
            yield
        except OSError as error:
            raise AnchorUnavailable(
                f"journal of {self._account}: its anchor {self}: {error}; mount the volume and see that it can be "
                "written, or make the folder once if it is new"
            ) from error


class BucketPlace:
    """An object in a bucket; credentials come from where AWS's own tools look, as for backups.

    Parameters
    ----------
    location : str
        ``s3://bucket/prefix``.
    workspace, account : str
        Name the object.
    """

    def __init__(self, location: str, workspace: str, account: str) -> None:
        self._account = account
        self._url = f"{location.rstrip('/')}/{workspace}/{account}.json"

    def __str__(self) -> str:
        """Return the object's address."""
        return self._url

    def read(self) -> JournalHead | None:
        """Return the head in the object."""
        with self._reached() as (files, path):
            try:
                with files.open_input_stream(path) as stream:
                    content: bytes = stream.read()
            except FileNotFoundError:
                return None
        return _head_from(content, self._account, str(self))

    def keep(self, head: JournalHead) -> JournalHead:
        """Replace the object, unless it holds a later head; one process at a time does."""
        found = self.read()
        if found is not None and found.sequence >= head.sequence:
            return found
        with self._reached() as (files, path), files.open_output_stream(path) as stream:
            stream.write(_content(head))
        return head

    def close(self) -> None:
        """Nothing stays open."""

    @contextmanager
    def _reached(self) -> Iterator[tuple[pyarrow.fs.FileSystem, str]]:
        import pyarrow.fs  # noqa: PLC0415 - reaching a bucket is the one use

        try:
            yield pyarrow.fs.FileSystem.from_uri(self._url)
        except (OSError, ValueError) as error:
            raise AnchorUnavailable(
                f"journal of {self._account}: its anchor {self}: {error}; see whether the bucket is there and may be "
                "used with these credentials"
            ) from error


class PostgresPlace:
    """A row in a PostgreSQL server, which should be another than the journal's.

    Parameters
    ----------
    schema : PostgresSchema
        Made where it is missing.
    account : str
        Names the row.
    """

    def __init__(self, schema: PostgresSchema, account: str) -> None:
        self._schema, self._account = schema, account
        self._engine = schema.engine()
        sa.event.listen(self._engine, "connect", _commit_durably)
        self._is_made = False

    def __str__(self) -> str:
        """Return server and schema, without the password."""
        return str(self._schema)

    def read(self) -> JournalHead | None:
        """Return the head in the row."""
        with self._reached() as connection:
            return self._row(connection)

    def keep(self, head: JournalHead) -> JournalHead:
        """Replace the row, unless it holds a later head."""
        values = {"sequence": head.sequence, "hash": head.hash}
        kept = postgresql.insert(_ANCHORS).values(account=self._account, **values)
        kept = kept.on_conflict_do_update(
            index_elements=["account"], set_=values, where=_ANCHORS.c.sequence < head.sequence
        )
        with self._reached() as connection:
            connection.execute(kept)
            found = self._row(connection)
        return head if found is None else found

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _row(self, connection: sa.Connection) -> JournalHead | None:
        wanted = sa.select(_ANCHORS.c.sequence, _ANCHORS.c.hash).where(_ANCHORS.c.account == self._account)
        row = connection.execute(wanted).one_or_none()
        return None if row is None else JournalHead._make(row)

    @contextmanager
    def _reached(self) -> Iterator[sa.Connection]:
        try:
            if not self._is_made:
                self._schema.create()
                with self._schema.locked(_ANCHORS.name):
                    _METADATA.create_all(self._engine)
                self._is_made = True
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.DBAPIError, StorageUnavailable) as error:
            said = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise AnchorUnavailable(
                f"journal of {self._account}: its anchor {self}: {said}; see that the server of "
                "storage.anchor_postgres_url runs and that its user may create schemas"
            ) from error


def _commit_durably(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
    connection.commit()


def _content(head: JournalHead) -> bytes:
    return (json.dumps(head._asdict(), sort_keys=True) + "\n").encode()


def _head_from(content: bytes, account: str, place: str) -> JournalHead:
    with suppress(ValueError, KeyError, TypeError):
        record = json.loads(content)
        head = JournalHead(int(record["sequence"]), str(record["hash"]))
        if head.sequence >= 0 and len(head.hash) == _HASH_LETTERS:
            return head
    raise JournalError(
        f"journal of {account}: its anchor {place} holds something else than the head of a journal; restore it, or "
        "keep it as evidence and anchor at another place"
    )
