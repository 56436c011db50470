"""Where a contender stores: a local folder, or a prefix in a bucket of a real S3 server.

Each place says how to name it to this project (a URL) and to pgBackRest (lines of its
configuration), empties itself, and tells how many bytes lie in it.
"""

import os
import shutil
import urllib.parse

import s3


class Folder:
    def __init__(self, path):
        self.path = path

    def own_url(self, **params):
        return 'file://' + self.path + query(params)

    def backrest(self):
        return 'repo1-path=%s\n' % self.path

    def begin(self):
        self.end()
        os.makedirs(self.path, mode=0o700)

    def stored(self):
        total = 0
        for parent, _, files in os.walk(self.path):
            total += sum(os.lstat(os.path.join(parent, name)).st_size for name in files)
        return total

    def end(self):
        shutil.rmtree(self.path, ignore_errors=True)


def query(params):
    return '?' + urllib.parse.urlencode(params, safe=':/') if params else ''


class Bucket:
    """A prefix in the bucket "bench"; port is that of the TLS endpoint, or of a proxy in front of it."""
    bucket = 'bench'
    made = False

    def __init__(self, prefix, port=None):
        self.prefix = prefix
        self.port = port or urllib.parse.urlsplit(os.environ['BKC_S3_TLS_URL']).port

    @staticmethod
    def client():
        """A new connection: an old one may have been closed by the server meanwhile."""
        return s3.Client()

    def own_url(self, **params):
        params.update(endpoint='https://127.0.0.1:%d' % self.port, ca_file=os.environ['BKC_S3_CA'],
                      region=os.environ['BKC_S3_REGION'], credentials=os.environ['BKC_S3_CREDENTIALS'])
        return 's3://%s/%s%s' % (self.bucket, self.prefix, query(params))

    def backrest(self):
        # 2.45 finds no address in a certificate, only names; the connection is encrypted all the same
        return ('repo1-type=s3\nrepo1-path=/%s\nrepo1-s3-bucket=%s\nrepo1-s3-endpoint=127.0.0.1\n'
                'repo1-storage-port=%d\nrepo1-storage-verify-tls=n\nrepo1-s3-region=%s\n'
                'repo1-s3-uri-style=path\nrepo1-s3-key=%s\nrepo1-s3-key-secret=%s\n'
                % (self.prefix, self.bucket, self.port, os.environ['BKC_S3_REGION'], self.client().access, self.client().secret))

    def keys(self):
        """[(key, size)]"""
        pages = self.client().pages(self.bucket, [('list-type', '2'), ('prefix', self.prefix + '/')],
                                    {'continuation-token': 'NextContinuationToken'})
        return [(c.findtext(s3.NS + 'Key'), int(c.findtext(s3.NS + 'Size')))
                for page in pages for c in page.iter(s3.NS + 'Contents')]

    def begin(self):
        if not Bucket.made:
            self.client().call('PUT', self.bucket)
            Bucket.made = True
        self.end()

    def stored(self):
        return sum(size for _, size in self.keys())

    def end(self):
        client = self.client()
        for key, _ in self.keys() if Bucket.made else []:
            client.call('DELETE', self.bucket, key)
