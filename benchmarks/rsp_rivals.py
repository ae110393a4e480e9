"""The rivals of bench_rsp.py that are programs: fetched and built into the environment that make keeps, or missing."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import Unavailable

__all__ = ["ngtcp2_programs", "quic_python", "usrsctp_program"]

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / ".venv"
"""Not installed twice, and gone with the environment."""
QUIC_HOME = HOME / "bench-aioquic"
PACKAGES = HOME / "bench-packages"
SCTP = ("libusrsctp-dev", "libusrsctp2")
NGTCP2 = (
    "ngtcp2-server",
    "ngtcp2-client",
    "libngtcp2-9",
    "libngtcp2-crypto-gnutls2",
    "libnghttp3-3",
    "libev4",
)


def _run(command: list[str], what: str, folder: Path | None = None) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
    except FileNotFoundError:
        raise Unavailable(f"{what}: {command[0]} is not installed") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise Unavailable(f"{what}: {words[-1][:150] if words else command[0]}")


@functools.cache
def quic_python() -> str:
    """An interpreter that has aioquic, installed for it alone; raises Unavailable."""
    python = QUIC_HOME / "bin" / "python"
    trial = [str(python), "-c", "import aioquic"]
    if python.exists() and subprocess.run(trial, capture_output=True, check=False).returncode == 0:
        return str(python)
    if not HOME.is_dir():
        raise Unavailable("aioquic is only installed into the .venv that make keeps")
    _run([sys.executable, "-m", "venv", str(QUIC_HOME)], "aioquic cannot be installed")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--only-binary=:all:", "aioquic"], "aioquic cannot be installed")
    return str(python)


def _unpacked(names: tuple[str, ...]) -> Path:
    """Where the files of these Debian packages lie, unpacked and not installed; raises Unavailable."""
    if not HOME.is_dir():
        raise Unavailable("packages are only unpacked into the .venv that make keeps")
    PACKAGES.mkdir(exist_ok=True)
    for name in names:
        if not any(PACKAGES.glob(f"{name}_*.deb")):
            _run(["apt-get", "download", name], f"the package {name} is not to be had", PACKAGES)
            _run(["dpkg", "-x", str(next(PACKAGES.glob(f"{name}_*.deb"))), str(PACKAGES)], name)
    return PACKAGES / "usr"


@functools.cache
def usrsctp_program() -> str:
    """The SCTP rival, compiled against the library of Debian's package; raises Unavailable."""
    program, source = PACKAGES / "usrsctp_rival", HERE / "usrsctp_rival.c"
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return str(program)
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("there is no C compiler (cc) here")
    root = _unpacked(SCTP)
    library = next(root.glob("lib/*/libusrsctp.so.2"), None)
    if library is None:
        raise Unavailable("the package libusrsctp2 has no libusrsctp.so.2")
    link = [str(library), f"-Wl,-rpath,{library.parent}", "-lpthread"]
    _run([compiler, "-O2", f"-I{root}/include", "-o", str(program), str(source), *link], "usrsctp")
    return str(program)


@functools.cache
def ngtcp2_programs() -> tuple[str, str, dict[str, str], Path]:
    """Server and client of ngtcp2, their environment, and a folder with ``key`` and ``cert``; raises Unavailable."""
    found = shutil.which("gtlsserver"), shutil.which("gtlsclient")
    environment = dict(os.environ)
    if found[0] and found[1]:
        server, client = found
    else:
        root = _unpacked(NGTCP2)
        server, client = str(root / "sbin" / "gtlsserver"), str(root / "bin" / "gtlsclient")
        libraries = next(root.glob("lib/*/libngtcp2.so*"), root).parent
        environment["LD_LIBRARY_PATH"] = str(libraries)
    folder = PACKAGES / "certificate"
    if not (folder / "cert").exists():
        folder.mkdir(parents=True, exist_ok=True)
        request = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        names = [
            "-subj",
            "/CN=bench",
            "-days",
            "30",
            "-keyout",
            str(folder / "key"),
            "-out",
            str(folder / "cert"),
        ]
        _run([*request, *names], "ngtcp2 needs a certificate")
    assert server is not None
    assert client is not None
    return server, client, environment, folder
