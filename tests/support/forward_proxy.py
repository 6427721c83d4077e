"""An HTTP proxy as labs have it between their network and the world."""

import asyncio


class ForwardProxy:
    """An HTTP proxy that takes CONNECT and absolute addresses, for one user."""

    def __init__(self) -> None:
        """Note what is ``asked`` for; with ``refuse`` nobody is let through."""
        self.asked: list[str] = []
        self.refuse = False

    @staticmethod
    def address(port: int) -> str:
        """Return the address with user and password, as it stands in the environment."""
        return f"http://user:pass%3A5@127.0.0.1:{port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, with raw_server."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        self.asked.append(f"{method} {target}")
        wanted = "proxy-authorization: basic dxnlcjpwyxnzoju="  # user:pass:5 in lower case
        if self.refuse or wanted not in [header.lower() for header in headers]:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        address = target.split("//")[-1].split("/")[0]
        host, _, port = address.rpartition(":")
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            up_writer.write(head.replace(f"http://{address}".encode(), b"", 1))
        try:
            await asyncio.gather(_pass_on(reader, up_writer), _pass_on(up_reader, writer))
        finally:
            up_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()  # the other direction ends then, too
