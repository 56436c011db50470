#!/usr/bin/python3
"""s3.py - a small S3 client for tests, with nothing of pg_backupctl in it.

  s3.py COMMAND ...

  mkbucket BUCKET [lock]            make it; "lock": with object lock (and versions)
  versioning BUCKET Enabled|Suspended
  lock BUCKET [MODE DAYS]           set or show the bucket's default retention
  list BUCKET [PREFIX]              "SIZE KEY" a line
  versions BUCKET [PREFIX]          "VERSION object|marker KEY" a line, newest first
  uploads BUCKET [PREFIX]           "UPLOADID KEY" a line
  get BUCKET KEY [VERSION]          the content, to stdout
  head BUCKET KEY [VERSION]         "name: value" a line
  put BUCKET KEY [FILE [NAME:VALUE...]]   without FILE, or "-": from stdin; further headers
  put-many BUCKET PREFIX N          N small objects PREFIX00000, ...
  delete BUCKET KEY [VERSION [NAME:VALUE...]]
  tags | retention | hold BUCKET KEY
  lifecycle BUCKET [RULES]          the bucket's rules, as XML; or set them: <Rule>...</Rule>...
  begin BUCKET KEY                  begin a multipart upload; prints its id
  sign FILE                         requests as JSON, one a line: prints the value of the
                                    Authorization header of each; needs no server

The server is BKC_S3_URL, the credentials stand in the file BKC_S3_CREDENTIALS,
the region is BKC_S3_REGION.  A reply that is no success ends it with status 1
and "STATUS CODE MESSAGE" on stderr.
"""
import base64
import configparser
import datetime
import hashlib
import hmac
import http.client
import json
import os
import ssl
import sys
import urllib.parse
import xml.etree.ElementTree as ET

NS = '{http://s3.amazonaws.com/doc/2006-03-01/}'


def quote(text, safe='-._~'):
    return urllib.parse.quote(text, safe=safe)


def authorization(method, path, query, headers, payload_hash, when, region, access, secret, service='s3'):
    """Signature Version 4, as AWS's documentation tells it.

    path is encoded already, query is a list of (name, value), headers a dict
    with all that is to be signed."""
    headers = {k.lower(): ' '.join(str(v).split()) for k, v in headers.items()}
    names = ';'.join(sorted(headers))
    canonical = '\n'.join([
        method, path,
        '&'.join('%s=%s' % pair for pair in sorted((quote(k), quote(v)) for k, v in query)),
        ''.join('%s:%s\n' % (k, headers[k]) for k in sorted(headers)),
        names, payload_hash])
    scope = '/'.join([when[:8], region, service, 'aws4_request'])
    text = '\n'.join(['AWS4-HMAC-SHA256', when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ('AWS4' + secret).encode()
    for part in scope.split('/'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return 'AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s' % (
        access, scope, names, signature)


class Client:
    def __init__(self):
        url = urllib.parse.urlsplit(os.environ['BKC_S3_URL'])
        conf = configparser.ConfigParser(interpolation=None)
        conf.read(os.environ['BKC_S3_CREDENTIALS'])
        self.access = conf['default']['aws_access_key_id']
        self.secret = conf['default']['aws_secret_access_key']
        self.region = os.environ.get('BKC_S3_REGION', 'us-east-1')
        self.host = url.netloc
        if url.scheme == 'https':
            self.link = http.client.HTTPSConnection(url.hostname, url.port, context=ssl.create_default_context(
                cafile=os.environ.get('BKC_S3_CA')))
        else:
            self.link = http.client.HTTPConnection(url.hostname, url.port)

    def call(self, method, bucket, key=None, query=(), body=b'', headers=None):
        """One request.  Returns its reply's headers and body, or ends the program."""
        path = '/' + quote(bucket) + ('' if key is None else '/' + quote(key, '-._~/'))
        digest = hashlib.sha256(body).hexdigest()
        when = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
        headers = dict(headers or {})
        headers.update({'host': self.host, 'x-amz-date': when, 'x-amz-content-sha256': digest})
        headers['Authorization'] = authorization(
            method, path, list(query), headers, digest, when, self.region, self.access, self.secret)
        target = path
        if query:
            target += '?' + '&'.join('%s=%s' % (quote(k), quote(v)) for k, v in query)
        self.link.request(method, target, body or None, headers)
        reply = self.link.getresponse()
        data = reply.read()
        if reply.status >= 300:
            code = message = ''
            try:
                code, message = (ET.fromstring(data).findtext(n) or '' for n in ('Code', 'Message'))
            except ET.ParseError:
                pass
            sys.exit('%d %s %s' % (reply.status, code, message))
        return reply.headers, data

    def pages(self, bucket, query, markers):
        """All pages of a listing; markers: parameter of the next request -> element of this reply."""
        more = {}
        while True:
            root = ET.fromstring(self.call('GET', bucket, None, sorted({**dict(query), **more}.items()))[1])
            yield root
            if root.findtext(NS + 'IsTruncated') != 'true':
                return
            more = {name: root.findtext(NS + element) or '' for name, element in markers.items()}


def md5(body):
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def main(command, bucket=None, *args):
    if command == 'sign':
        with open(bucket) as f:
            for line in f:
                print(authorization(**json.loads(line)))
        return
    s3 = Client()
    show = sys.stdout.buffer.write
    arg = lambda n, default=None: args[n] if len(args) > n else default
    headers = {k: v for k, v in (a.split(':', 1) for a in args[2:])}
    version = lambda: [('versionId', args[1])] if arg(1) else []

    if command == 'mkbucket':
        s3.call('PUT', bucket, headers={'x-amz-bucket-object-lock-enabled': 'true'} if arg(0) == 'lock' else {})
    elif command == 'versioning':
        body = '<VersioningConfiguration xmlns="%s"><Status>%s</Status></VersioningConfiguration>' % (NS[1:-1], args[0])
        s3.call('PUT', bucket, None, [('versioning', '')], body.encode())
    elif command == 'lock' and args:
        body = ('<ObjectLockConfiguration xmlns="%s"><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>'
                '<DefaultRetention><Mode>%s</Mode><Days>%s</Days></DefaultRetention></Rule>'
                '</ObjectLockConfiguration>' % (NS[1:-1], args[0], args[1])).encode()
        s3.call('PUT', bucket, None, [('object-lock', '')], body, {'Content-MD5': md5(body)})
    elif command == 'lock':
        show(s3.call('GET', bucket, None, [('object-lock', '')])[1])
    elif command == 'list':
        for page in s3.pages(bucket, {'list-type': '2', 'prefix': arg(0, '')},
                             {'continuation-token': 'NextContinuationToken'}):
            for e in page.iter(NS + 'Contents'):
                print(e.findtext(NS + 'Size'), e.findtext(NS + 'Key'))
    elif command == 'versions':
        for page in s3.pages(bucket, {'versions': '', 'prefix': arg(0, '')},
                             {'key-marker': 'NextKeyMarker', 'version-id-marker': 'NextVersionIdMarker'}):
            for e in page:
                if e.tag in (NS + 'Version', NS + 'DeleteMarker'):
                    print(e.findtext(NS + 'VersionId'), 'object' if e.tag == NS + 'Version' else 'marker',
                          e.findtext(NS + 'Key'))
    elif command == 'uploads':
        for page in s3.pages(bucket, {'uploads': '', 'prefix': arg(0, '')},
                             {'key-marker': 'NextKeyMarker', 'upload-id-marker': 'NextUploadIdMarker'}):
            for e in page.iter(NS + 'Upload'):
                print(e.findtext(NS + 'UploadId'), e.findtext(NS + 'Key'))
    elif command == 'get':
        show(s3.call('GET', bucket, args[0], version())[1])
    elif command == 'head':
        for name, value in s3.call('HEAD', bucket, args[0], version())[0].items():
            print('%s: %s' % (name.lower(), value))
    elif command == 'put':
        if arg(1, '-') == '-':
            body = sys.stdin.buffer.read()
        else:
            with open(args[1], 'rb') as f:
                body = f.read()
        s3.call('PUT', bucket, args[0], (), body, headers)
    elif command == 'put-many':
        for i in range(int(args[1])):
            s3.call('PUT', bucket, '%s%05d' % (args[0], i), (), b'%d' % i)
    elif command == 'delete':
        s3.call('DELETE', bucket, args[0], version(), b'', headers)
    elif command in ('tags', 'retention', 'hold'):
        what = {'tags': 'tagging', 'retention': 'retention', 'hold': 'legal-hold'}[command]
        text = s3.call('GET', bucket, args[0], [(what, '')])[1]
        for e in ET.fromstring(text).iter() if text else ():
            if e.text and e.text.strip():
                print(e.tag.split('}')[-1], e.text)
    elif command == 'lifecycle' and args:
        body = '<LifecycleConfiguration xmlns="%s">%s</LifecycleConfiguration>' % (NS[1:-1], args[0])
        s3.call('PUT', bucket, None, [('lifecycle', '')], body.encode(), {'Content-MD5': md5(body.encode())})
    elif command == 'lifecycle':
        show(s3.call('GET', bucket, None, [('lifecycle', '')])[1])
    elif command == 'begin':
        print(ET.fromstring(s3.call('POST', bucket, args[0], [('uploads', '')])[1]).findtext(NS + 'UploadId'))
    else:
        sys.exit('s3.py: no such command; see the top of the file')


if __name__ == '__main__':
    if len(sys.argv) < 2 or sys.argv[1] in ('-h', '--help'):
        sys.exit(__doc__)
    main(*sys.argv[1:])
