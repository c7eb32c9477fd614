"""A real PostgreSQL server in a temporary folder, reached through a Unix socket with a password."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

PASSWORD = "sesame@open/'wide"  # noqa: S105 - of a server that lives as long as a test


def programs() -> Path | None:
    """Return the folder of the server's programs: on PATH, or where Debian puts them."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """A running server with one database; `url` holds its password, and `stop` ends it before its time."""

    def __init__(self, folder: Path, stop: Callable[[], None]) -> None:
        self.stop = stop
        user, password = "aegis", "".join({"@": "%40", "/": "%2F", "'": "%27"}.get(c, c) for c in PASSWORD)
        self.url = f"postgresql://{user}:{password}@/postgres?host={folder}"

    @property
    def secret(self) -> SecretStr:
        return SecretStr(self.url)

    def ask(self, statement: str, *, schema: str = "public", **values: Any) -> list[Any]:
        url = self.url.replace("postgresql:", "postgresql+psycopg2:")
        engine = sa.create_engine(url, connect_args={"options": f"-csearch_path={schema}"})
        try:
            with engine.begin() as connection:
                result = connection.execute(sa.text(statement), values)
                return list(result.all()) if result.returns_rows else []
        finally:
            engine.dispose()

    def kill_backends(self, of: str) -> int:
        """End every other connection whose newest statement, or whose name, holds `of`; return how many there were."""
        found = self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND backend_type = 'client backend' AND (query LIKE :of OR application_name LIKE :of)",
            of=f"%{of}%",
        )
        return len(found)


@contextmanager
def running_server(bin_folder: Path) -> Iterator[PostgresServer]:
    """Start a server and stop it again; Debian's refuses to run as root, so root's runs as `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="aegis-pg-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)

    def run(program: str, *arguments: str | Path) -> None:
        subprocess.run([bin_folder / program, *arguments], check=True, cwd=folder, capture_output=True, **as_user)

    data = folder / "data"
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=60 -c shared_buffers=32MB"
    try:
        run(
            "initdb", "-D", data, "-U", "aegis", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync",
            "--encoding=UTF8", "--locale=C",
        )  # fmt: skip
        # Without a log file the server would hold on to the pipes that are waited for here.
        run("pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
        yield PostgresServer(folder, lambda: run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"))
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
