# SPDX-License-Identifier: Apache-2.0
"""The network between the replicas and PostgreSQL, which a test may cut: in a process of its own, told by its stdin.

pass: bytes go through. hole: nothing goes through, nothing is closed. refuse: all is closed and stays closed.
late: what is asked goes through, and no answer does until it passes again.
deaf: as pass, to a database that does not know LISTEN and NOTIFY; dumb: to one that warns that they do nothing.
connections: says on stdout how many connections there were.
"""
import asyncio
import subprocess
import sys


# As long as what they replace. The second warns that there is no transaction.
INSTEAD = {"deaf": b"HEARKEN the hous", "dumb": b"COMMIT          "}


class Network:
    """Listens on a port of 127.0.0.1; url(database) leads through it."""

    def __init__(self, socket):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", sys.executable, __file__, socket],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = int(self.process.stdout.readline())

    def url(self, url):
        database = url.split("?")[0].rsplit("/", 1)[1]
        return f"postgresql://gatehouse@127.0.0.1:{self.port}/{database}"

    def set(self, mode):
        return self.ask(mode)

    def connections(self):
        return int(self.ask("connections"))

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Proxy:
    def __init__(self, socket):
        self.socket, self.count, self.writers = socket, 0, set()
        self.is_open, self.is_answering = asyncio.Event(), asyncio.Event()
        self.is_open.set()
        self.is_answering.set()
        self.is_refusing, self.instead = False, None

    async def pump(self, reader, writer, to_database=False):
        try:
            while data := await reader.read(65536):
                await self.is_open.wait()
                if not to_database:
                    await self.is_answering.wait()
                if to_database and self.instead:
                    data = data.replace(b"LISTEN gatehouse", self.instead).replace(b"NOTIFY gatehouse", self.instead)
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            pass
        finally:
            writer.close()

    async def connect(self, reader, writer):
        self.count += 1
        if self.is_refusing:
            writer.transport.abort()
            return
        await self.is_open.wait()
        try:
            database_reader, database_writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            writer.transport.abort()
            return
        self.writers |= {writer, database_writer}
        await asyncio.gather(self.pump(reader, database_writer, True), self.pump(database_reader, writer))
        self.writers -= {writer, database_writer}

    def obey(self, word):
        if word == "connections":
            return self.count
        self.is_refusing = word == "refuse"
        self.instead = INSTEAD.get(word)
        for event, word_against in ((self.is_open, "hole"), (self.is_answering, "late")):
            if word == word_against:
                event.clear()
            else:
                event.set()
        if word == "refuse":
            for writer in self.writers:
                writer.transport.abort()
        return "ok"


async def main():
    proxy = Proxy(sys.argv[1])
    server = await asyncio.start_server(proxy.connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while word := (await commands.readline()).decode().strip():
        print(proxy.obey(word), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
