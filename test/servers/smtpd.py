#!/usr/bin/python3
"""smtpd.py - SMTP server on 127.0.0.1 that stores each message as a file.

  smtpd.py PORT OUTDIR [--auth USER:PASSWORD] [--tls CERT KEY] [--implicit] [--pidfile FILE]

Messages land in OUTDIR as 001.eml, 002.eml, ... with X-From, X-Rcpt and X-Tls on top.
--tls offers STARTTLS and demands it; with --implicit TLS starts at once (smtps).
--auth demands AUTH (with --tls only over TLS); a wrong password is answered 535.
A recipient starting with "reject" is refused (550), with "tmpfail" put off (451), and to one
starting with "hang" there is no answer.
"ready" is printed when it listens. SIGTERM ends it; with --pidfile: kill "$(cat FILE)".

Debian: apt-get install python3-aiosmtpd
"""
import argparse
import asyncio
import itertools
import os
import signal
import ssl
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

# aiosmtpd passes its arguments by position: (server, connection, envelope, ...).


class Sink:
    def __init__(self, outdir, implicit):
        self.outdir, self.implicit, self.count = outdir, implicit, itertools.count(1)

    async def handle_RCPT(self, server, conn, envelope, address, options):
        if address.startswith('reject'):
            return '550 no such user'
        if address.startswith('tmpfail'):
            return '451 try later'
        if address.startswith('hang'):
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, conn, envelope):
        head = 'X-From: %s\r\nX-Rcpt: %s\r\nX-Tls: %s\r\n' % (
            envelope.mail_from, ','.join(envelope.rcpt_tos), self.implicit or bool(conn.ssl))
        name = os.path.join(self.outdir, '%03d.eml' % next(self.count))
        with open(name + '.part', 'wb') as f:      # renamed when complete: a test may poll for it
            f.write(head.encode() + envelope.original_content)
        os.rename(name + '.part', name)
        return '250 queued'


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('port', type=int)
    ap.add_argument('outdir')
    ap.add_argument('--auth', metavar='USER:PASSWORD')
    ap.add_argument('--tls', nargs=2, metavar=('CERT', 'KEY'))
    ap.add_argument('--implicit', action='store_true')
    ap.add_argument('--pidfile')
    args = ap.parse_args()
    if args.implicit and not args.tls:
        ap.error('--implicit needs --tls')
    os.makedirs(args.outdir, exist_ok=True)

    context = None
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*args.tls)
    options = {}
    if context and not args.implicit:
        options.update(tls_context=context, require_starttls=True)
    if args.auth:
        user, password = args.auth.encode().split(b':', 1)

        def check(server, conn, envelope, mechanism, data):
            # handled=False lets aiosmtpd send the 535 itself; otherwise the client waits for ever.
            return AuthResult(success=(data.login, data.password) == (user, password), handled=False)

        options.update(auth_required=True, authenticator=check,
                       auth_require_tls=bool(context) and not args.implicit)

    class Server(Controller):
        def factory(self):
            return SMTP(self.handler, **options)

    server = Server(Sink(args.outdir, args.implicit), hostname='127.0.0.1', port=args.port, server_hostname='localhost',
                    ssl_context=context if args.implicit else None)
    stop = threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: stop.set())
    server.start()
    if args.pidfile:
        with open(args.pidfile, 'w') as f:
            f.write('%d\n' % os.getpid())
    print('ready', flush=True)
    stop.wait()
    server.stop()
    if args.pidfile:
        os.unlink(args.pidfile)


if __name__ == '__main__':
    main()
