#!/usr/bin/python3
"""latency.py LISTENPORT TARGETPORT MS - a TCP proxy on 127.0.0.1 that delays what clients send.

Every byte from client to server arrives MS milliseconds later, so that each request takes that much
longer, as over a distance; what follows it closely is delayed by the same time and not one after the
other, so the rate of a stream stays.  The line "ready" is printed when it listens.
"""

import asyncio
import sys

CHUNK = 256 * 1024
AHEAD = 64          # chunks that may be on their way


async def upwards(reader, writer, seconds):
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue(AHEAD)

    async def deliver():
        while True:
            due, data = await queue.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    task = asyncio.ensure_future(deliver())
    try:
        while True:
            data = await reader.read(CHUNK)
            await queue.put((loop.time() + seconds, data))
            if not data:
                break
        await task
    finally:
        task.cancel()


async def downwards(reader, writer):
    while True:
        data = await reader.read(CHUNK)
        if not data:
            break
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def main(listen, target, seconds):
    async def connection(reader, writer):
        other = None
        try:
            reader2, other = await asyncio.open_connection('127.0.0.1', target, limit=CHUNK)
            await asyncio.gather(upwards(reader, other, seconds), downwards(reader2, writer))
        except (OSError, RuntimeError):
            pass
        finally:
            writer.close()
            if other:
                other.close()

    server = await asyncio.start_server(connection, '127.0.0.1', listen, limit=CHUNK)
    print('ready', flush=True)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
