"""TLS with a certificate authority of one's own: `AWS_CA_BUNDLE` says whom to trust, in the workers too."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.forward_proxy import ForwardProxy
from tests.support.raw_server import raw_server

from .lab import Lab


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class TlsFront:
    """Takes TLS connections on loopback and passes their bytes to an HTTP server."""

    def __init__(self, upstream: str, certificate: Path, key: Path) -> None:
        self._upstream = urlsplit(upstream)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="tls-front", daemon=True)
        self.endpoint = ""

    def start(self) -> None:
        """Return when connections are taken."""
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._context)
        self.endpoint = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        try:
            await asyncio.gather(_pass_on(reader, up_writer), _pass_on(up_reader, writer))
        finally:
            up_writer.transport.abort()
            writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.transport.abort()


@pytest.fixture
def tls(moto_lab: Lab, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An https address of moto, and the certificate to trust."""
    certificate, key = write_certificate(tmp_path)
    front = TlsFront(moto_lab.server.endpoint, certificate, key)
    front.start()
    yield front.endpoint, certificate
    front.stop()


def test_a_ca_bundle_of_the_environment_is_trusted(moto_lab: Lab, tls: tuple[str, Path]) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    endpoint, certificate = tls

    done = moto_lab.upload(run, bucket, env={"AWS_ENDPOINT_URL": endpoint, "AWS_CA_BUNDLE": str(certificate)})

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)


def test_without_it_nothing_is_sent(moto_lab: Lab, tls: tuple[str, Path]) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()

    done = moto_lab.upload(run, bucket, env={"AWS_ENDPOINT_URL": tls[0]})

    assert done.exit_code == 1
    assert bucket in done.stderr
    assert "certificate" in done.stderr.lower()
    assert moto_lab.server.objects(bucket) == {}


@pytest.mark.parametrize("transport", ["lean", "aiobotocore"])
async def test_https_goes_through_the_proxy_of_the_environment(
    moto_lab: Lab, tls: tuple[str, Path], transport: str
) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run(files={"Data/big.cbcl": bytes(17 * 2**20)})
    endpoint, certificate = tls
    proxy = ForwardProxy()

    async with raw_server(proxy.serve) as port:
        env = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_CA_BUNDLE": str(certificate),
            "HTTPS_PROXY": proxy.address(port),
            "NO_PROXY": None,
        }
        done = await asyncio.to_thread(moto_lab.upload, run, bucket, "--transport", transport, env=env)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert set(proxy.asked) == {f"CONNECT {urlsplit(endpoint).netloc}"}
    assert "pass" not in done.stderr
