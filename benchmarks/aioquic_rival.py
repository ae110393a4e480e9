"""The rival of bench_rsp.py in Python: one stream of QUIC by aioquic. Runs under an interpreter that has aioquic.

aioquic_rival.py serve HOST READY     takes one connection and says how much it brought
aioquic_rival.py send HOST SIZE       prints the seconds from the first write to the word that all is there
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import sys
import tempfile
import time
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.asyncio import serve as listen
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PORT = 4433
WINDOW = 16 << 20


def configuration(client: bool) -> QuicConfiguration:
    # Windows as wide as ours, so that they are not what limits it.
    return QuicConfiguration(
        is_client=client, alpn_protocols=["bench"], max_data=WINDOW, max_stream_data=WINDOW, verify_mode=0
    )


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


class Taker(QuicConnectionProtocol):
    """The side that takes the stream and says how long it was."""

    total = 0

    def quic_event_received(self, event) -> None:
        """See aioquic."""
        if isinstance(event, StreamDataReceived):
            self.total += len(event.data)
            if event.end_stream:
                self._quic.send_stream_data(event.stream_id, self.total.to_bytes(8, "big"), end_stream=True)
                self.transmit()


class Giver(QuicConnectionProtocol):
    """The side that sends."""

    def __init__(self, *args, **words) -> None:
        super().__init__(*args, **words)
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event) -> None:
        """See aioquic."""
        if isinstance(event, StreamDataReceived) and event.end_stream and not self.answer.done():
            self.answer.set_result(event.data)


async def serve(host: str, ready: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = configuration(client=False)
        settings.load_cert_chain(*certificate(Path(folder)))
    await listen(host, PORT, configuration=settings, create_protocol=Taker)
    ready.touch()  # noqa: ASYNC240 - once, before anything waits
    await asyncio.Event().wait()


async def send(host: str, size: int) -> None:
    async with connect(
        host, PORT, configuration=configuration(client=True), create_protocol=Giver
    ) as protocol:
        stream = protocol._quic.get_next_available_stream_id()
        data = bytes(size)
        began = time.perf_counter()
        protocol._quic.send_stream_data(stream, data, end_stream=True)
        protocol.transmit()
        answer = await protocol.answer
        seconds = time.perf_counter() - began
    assert int.from_bytes(answer, "big") == size
    print(seconds)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(sys.argv[2], Path(sys.argv[3])))
    else:
        asyncio.run(send(sys.argv[2], int(sys.argv[3])))
