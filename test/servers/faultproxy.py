#!/usr/bin/python3
"""faultproxy.py - a proxy on 127.0.0.1 in front of a server that breaks requests on demand.

  faultproxy.py LISTENPORT TARGETPORT CONTROLFILE [--log FILE] [--raw]

LISTENPORT 0 takes a free port; the line "ready PORT" is printed when it listens.
It ends with SIGTERM, and by itself when its parent process has ended.

CONTROLFILE holds one JSON object, read anew for each request; a missing or
empty file means no fault.  A list of objects: the first whose match fits, with one count
for them all.  Write it to a temporary name and rename it, so
that no half file is read.  FILE gets a line "N METHOD TARGET STATUS FAULT" for
each request, when its reply has been passed on; STATUS is "-" without a reply.

Which requests, all optional:
  match          regular expression, looked for in "METHOD TARGET"
  skip           leave the first N of those since the file was written alone
  times          only N (after those that are skipped)
  p              with this probability (default 1)

Faults (offsets count bytes of the body):
  refuse         close the connection when the request's head is there
  down_ms        the same, and refuse connections for that long
  blackhole      never answer
  status         answer with this status instead of passing on; with "headers" (an object)
                 and "body" (a text)
  drop_reply     pass the request on, swallow the reply, close: a lost reply
  reply_status   pass it on, swallow the reply, answer with this status
  cut_up, cut_down           close after so many bytes of request or reply
  corrupt_up, corrupt_down   flip one bit of the byte there
  delay_ms       wait so long before each piece passed on
  rate_kbps, rate_down_kbps  kilobits per second of request or reply
  trickle        so many bytes of the reply at a time
  trickle_max    of no more than so many bytes; the rest comes at once
  date_shift     the reply's Date is so many seconds later
  rst            closings asked for above are TCP resets

With --raw nothing is known about HTTP, for TLS: all of that but status,
reply_status and date_shift is for connections and their streams instead, and there is no log.
"""
import argparse
import asyncio
import email.utils
import json
import os
import random
import re
import signal
import socket
import struct

PIECE = 1 << 18
FAULTS = ('refuse', 'down_ms', 'blackhole', 'status', 'drop_reply', 'reply_status', 'cut_up', 'cut_down',
          'corrupt_up', 'corrupt_down', 'date_shift', 'delay_ms', 'rate_kbps', 'rate_down_kbps', 'trickle')


class Broken(Exception):
    """The fault asked for an end of the connection."""


class Control:
    """The control file, with a count that starts again when it is written."""

    def __init__(self, path):
        self.path, self.stamp, self.seen, self.total = path, None, 0, 0

    def faults_of(self, request):
        try:
            with open(self.path) as f:
                text, st = f.read(), os.fstat(f.fileno())
            conf = json.loads(text) if text.strip() else {}
        except (OSError, ValueError):
            return {}
        if (st.st_ino, st.st_mtime_ns) != self.stamp:
            self.stamp, self.seen, self.total = (st.st_ino, st.st_mtime_ns), 0, 0
        self.total += 1
        for conf in conf if isinstance(conf, list) else [conf]:
            if 'match' not in conf or re.search(conf['match'], request):
                break
        else:
            return {}
        self.seen += 1
        n = self.seen - conf.get('skip', 0)
        if n < 1 or ('times' in conf and n > conf['times']) or random.random() >= conf.get('p', 1):
            return {}
        return conf


def close(writer, reset):
    if reset:
        try:
            writer.get_extra_info('socket').setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        except OSError:
            pass
        writer.transport.abort()
    else:
        writer.close()


class Way:
    """One direction of a request, 'up' or 'down', and what is done to it."""

    def __init__(self, conf, way):
        self.cut, self.flip = conf.get('cut_' + way), conf.get('corrupt_' + way)
        self.rate = conf.get('rate_kbps' if way == 'up' else 'rate_down_kbps')
        self.delay = conf.get('delay_ms', 0) / 1000
        self.size = conf.get('trickle', PIECE) if way == 'down' else PIECE
        self.slow = conf.get('trickle_max')
        self.passed = 0

    async def send(self, data, writer):
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.flip is not None and self.passed <= self.flip < self.passed + len(data):
            data = bytearray(data)
            data[self.flip - self.passed] ^= 1
            data = bytes(data)
        if self.cut is not None and self.passed + len(data) >= self.cut:
            writer.write(data[:self.cut - self.passed])
            await writer.drain()
            raise Broken
        writer.write(data)
        await writer.drain()
        self.passed += len(data)
        if self.slow is not None and self.passed >= self.slow:
            self.size, self.delay = PIECE, 0
        if self.rate:
            await asyncio.sleep(len(data) * 8 / 1000 / self.rate)

    async def exactly(self, n, reader, writer):
        while n > 0:
            data = await reader.read(min(n, self.size))
            if not data:
                raise ConnectionError
            n -= len(data)
            await self.send(data, writer)

    async def chunked(self, reader, writer):
        while True:
            line = await reader.readuntil(b'\r\n')
            await self.send(line, writer)
            n = int(line.split(b';')[0], 16)
            await self.exactly(n + 2, reader, writer)
            if n == 0:
                return

    async def rest(self, reader, writer):
        while True:
            data = await reader.read(self.size)
            if not data:
                return
            await self.send(data, writer)


class Nowhere:
    """A writer for what is swallowed."""

    def write(self, data):
        pass

    async def drain(self):
        pass


def fields(head):
    found = {}
    for line in head.split(b'\r\n')[1:]:
        if b':' in line:
            name, value = line.split(b':', 1)
            found[name.strip().lower()] = value.strip()
    return found


async def pass_body(found, until_end, way, reader, writer):
    """What follows a head with these fields.  until_end: of unknown length, it ends with the connection."""
    if found.get(b'transfer-encoding', b'').lower() == b'chunked':
        await way.chunked(reader, writer)
    elif b'content-length' in found:
        await way.exactly(int(found[b'content-length']), reader, writer)
    elif until_end:
        await way.rest(reader, writer)


def shift_date(reply, seconds):
    def later(match):
        then = email.utils.parsedate_to_datetime(match.group(2).decode()).timestamp() + seconds
        return match.group(1) + email.utils.formatdate(then, usegmt=True).encode()

    return re.sub(rb'(?i)(\r\nDate: *)([^\r]*)', later, reply)


def answer(conf, status):
    body = conf.get('body', '').encode()
    lines = ['HTTP/1.1 %d Fault' % status, 'Content-Length: %d' % len(body)]
    lines += ['%s: %s' % pair for pair in conf.get('headers', {}).items()]
    return ('\r\n'.join(lines) + '\r\n\r\n').encode(), body


class Proxy:
    def __init__(self, args):
        self.args, self.control = args, Control(args.control)
        self.server = None
        self.is_down = False

    def note(self, number, request, status, conf):
        if self.args.log:
            faults = ','.join(name for name in FAULTS if name in conf) or '-'
            with open(self.args.log, 'a') as f:
                f.write('%d %s %s %s\n' % (number, request, status, faults))

    async def down(self, ms):
        if self.is_down:
            return
        self.is_down = True
        self.server.close()
        await asyncio.sleep(ms / 1000)
        await self.listen(self.port)
        self.is_down = False

    async def listen(self, port):
        self.server = await asyncio.start_server(
            self.raw if self.args.raw else self.http, '127.0.0.1', port, limit=1 << 20)
        self.port = self.server.sockets[0].getsockname()[1]

    async def target(self):
        return await asyncio.open_connection('127.0.0.1', self.args.target, limit=1 << 20)

    async def http(self, reader, writer):
        there = None
        conf = {}
        try:
            while True:
                head = await reader.readuntil(b'\r\n\r\n')
                method, name = head.split(b' ', 2)[:2]
                request = '%s %s' % (method.decode('latin1'), name.decode('latin1'))
                conf = self.control.faults_of(request)
                number = self.control.total
                there, status = await self.one(head, method, conf, reader, writer, there,
                                               lambda status: self.note(number, request, status, conf))
                if status is None:
                    return
        except (OSError, asyncio.IncompleteReadError, Broken):
            pass
        finally:
            for w in (writer, there[1] if there else None):
                if w is not None:
                    close(w, bool(conf.get('rst')))

    async def one(self, head, method, conf, reader, writer, there, note):
        """One request.  Returns the connection to the server and the status; None ends the client's."""
        if 'down_ms' in conf:
            asyncio.ensure_future(self.down(conf['down_ms']))
        if conf.get('refuse') or 'down_ms' in conf:
            note('-')
            return there, None
        if conf.get('blackhole'):
            note('-')
            while await reader.read(65536):
                pass
            return there, None
        up, down = Way(conf, 'up'), Way(conf, 'down')
        if 'status' in conf:
            await pass_body(fields(head), False, Way({}, 'up'), reader, Nowhere())
            for data in answer(conf, conf['status']):
                writer.write(data if method != b'HEAD' or data.startswith(b'HTTP/') else b'')
            await writer.drain()
            note(conf['status'])
            return there, conf['status']
        if there is None or there[0].at_eof():
            there = await self.target()
        status = '-'
        try:
            there[1].write(head)
            await pass_body(fields(head), False, up, reader, there[1])
            await there[1].drain()
            while True:
                reply = await there[0].readuntil(b'\r\n\r\n')
                status = int(reply.split(b' ', 2)[1])
                if 'date_shift' in conf:
                    reply = shift_date(reply, conf['date_shift'])
                swallow = conf.get('drop_reply') or 'reply_status' in conf
                sink = Nowhere() if swallow else writer
                sink.write(reply)
                if status >= 200:
                    break
            if method != b'HEAD' and status not in (204, 304):
                await pass_body(fields(reply), True, down, there[0], sink)
            if conf.get('drop_reply'):
                raise Broken
            if 'reply_status' in conf:
                for data in answer(conf, conf['reply_status']):
                    writer.write(data)
            await writer.drain()
        finally:
            note(status)
        if fields(reply).get(b'connection', b'').lower() == b'close':
            there[1].close()
            there = None
        return there, status

    async def raw(self, reader, writer):
        conf = self.control.faults_of('')
        if 'down_ms' in conf:
            asyncio.ensure_future(self.down(conf['down_ms']))
        if conf.get('refuse') or 'down_ms' in conf:
            close(writer, True)
            return
        if conf.get('blackhole'):
            while await reader.read(65536):
                pass
            writer.close()
            return
        reader2, writer2 = await self.target()

        async def pump(way, r, w):
            try:
                await Way(conf, way).rest(r, Nowhere() if way == 'down' and conf.get('drop_reply') else w)
                w.write_eof()
            except (OSError, RuntimeError, Broken):
                for each in (writer, writer2):
                    close(each, bool(conf.get('rst')))

        await asyncio.gather(pump('up', reader, writer2), pump('down', reader2, writer))
        writer.close()
        writer2.close()

    async def run(self):
        stop = asyncio.Event()
        for sig in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sig, stop.set)
        parent = os.getppid()
        await self.listen(self.args.listen)
        print('ready %d' % self.port, flush=True)
        while not stop.is_set() and os.getppid() == parent:
            try:
                await asyncio.wait_for(stop.wait(), 0.5)
            except asyncio.TimeoutError:
                pass
        self.server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()


if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('listen', type=int)
    ap.add_argument('target', type=int)
    ap.add_argument('control')
    ap.add_argument('--log')
    ap.add_argument('--raw', action='store_true')
    asyncio.run(Proxy(ap.parse_args()).run())
