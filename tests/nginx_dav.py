"""A real nginx on loopback that takes files by PUT and DELETE behind a password and serves them to everyone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from server_process import held_port, start, wait_for

# Relative paths are below the prefix, which is the folder. A worker process would be nobody's under root, and nobody
# cannot enter the folders of pytest: one process does it all as whoever starts it.
CONFIG = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size 60m;
    types {{ image/png png; image/jpeg jpg jpeg; image/webp webp; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{ return 404; }}
        location /put/ {{
            if ($request_method !~ ^(PUT|DELETE)$) {{ return 404; }}
            auth_basic pictures;
            auth_basic_user_file users;
            alias files/;
            dav_methods PUT DELETE;
            create_full_put_path on;
        }}
        location /pictures/ {{
            if ($request_method !~ ^(GET|HEAD)$) {{ return 404; }}
            alias files/;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class DavServer:
    """Files are put below `url`/put/, read below `url`/pictures/, and lie in `folder`."""

    url: str
    user: str
    password: str
    folder: Path


def is_installed() -> bool:
    """Tell whether nginx is there to be run."""
    return _program() is not None


@contextmanager
def running(folder: Path) -> Iterator[DavServer]:
    """Serve from a folder until the block ends."""
    program = _program()
    assert program is not None
    log = folder / "nginx.log"
    with ExitStack() as stack:
        port = held_port(stack)
        server = DavServer(f"http://127.0.0.1:{port}", "studio", "secret-for-tests", folder / "files")
        server.folder.mkdir()
        (folder / "users").write_text(f"{server.user}:{{PLAIN}}{server.password}\n")
        (folder / "nginx.conf").write_text(CONFIG.format(port=port))
        wait_for(start([program, "-p", str(folder), "-c", "nginx.conf"], log, stack), port, log)
        yield server


def _program() -> str | None:
    return shutil.which("nginx", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
