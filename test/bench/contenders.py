"""Who is measured: each knows how to back up, restore and verify with one setting.

A contender's life in a round: prepare (not timed), backup (timed), stored, restore (timed), verify
(timed), discard.  Every command gets the same: two workers, an immediate checkpoint, a place (a local folder, or a
bucket), whatever durability is the tool's default, page checksums checked where the tool does it.
"""

import os


class Contender:
    family = ''
    has_restore = True
    restored_has_manifest = False       # pg_verifybackup can judge a restored folder

    def __init__(self, bench, name, setting):
        self.bench = bench
        self.setting = setting
        self.key = ('%s %s' % (self.family, setting)).strip()
        self.place = bench.place(name)

    def prepare(self, cluster):
        self.cluster = cluster
        self.discard()
        self.place.begin()
        cluster.set('archive_command', 'true')

    def backup(self):
        """argv of the timed command."""
        raise NotImplementedError

    def again(self):
        """Make another backup() possible, as its user would run it day by day."""
        self.discard()
        self.place.begin()

    def stored(self):
        return self.place.stored()

    def restore(self, target):
        """argv of the timed command; target does not exist yet."""
        raise NotImplementedError

    def verifications(self):
        """[(name, argv)], each timed."""
        return []

    def verified(self, output):
        """Does a verification that ended with status 0 say that all is well?"""
        return True

    def discard(self):
        self.place.end()


def shell(script):
    return ['/bin/bash', '-c', 'set -eo pipefail; ' + script]


class BaseBackup(Contender):
    """pg_basebackup.  The WAL is fetched into the tar file, so the server compresses it too."""
    family = 'pg_basebackup'

    def __init__(self, bench, name, setting, compress=None):
        super().__init__(bench, name, setting)
        self.folder = self.place.path
        self.compress = compress

    def backup(self):
        argv = [self.cluster.tool('pg_basebackup'), '-D', self.folder, '-X', 'fetch', '-c', 'fast']
        argv += self.cluster.connection()[:6]
        return argv + (['-Ft', '--compress=' + self.compress] if self.compress else ['-Fp'])

    def restore(self, target):
        # Neither cp nor tar makes anything durable; the others' restores do.
        if self.compress is None:
            return shell('cp -a %s %s; sync -f %s' % (self.folder, target, target))
        return shell('mkdir -m 700 %s; zstd -q -d -c %s/base.tar.zst | tar -x -C %s; sync -f %s'
                     % (target, self.folder, target, target))

    def verifications(self):
        if self.compress is not None:
            return []
        return [('pg_verifybackup', [self.cluster.tool('pg_verifybackup'), '-n', self.folder])]


class BackRest(Contender):
    """pgBackRest.  A backup without its WAL is no backup, so archive_command pushes while it runs
    (synchronously: one or two segments); the archive counts as stored."""
    family = 'pgBackRest'

    def __init__(self, bench, name, setting, kind, level, more=''):
        super().__init__(bench, name, setting)
        self.config = os.path.join(bench.work, name + '.conf')
        self.options = 'compress-type=%s\n%s%s' % (
            kind, 'compress-level=%d\n' % level if level else '', more)

    def command(self, *words):
        return ['pgbackrest', '--config=' + self.config, '--stanza=bench'] + list(words)

    def prepare(self, cluster):
        super().prepare(cluster)
        folders = {name: os.path.join(self.bench.work, 'pgbackrest', name) for name in ('lock', 'log', 'spool')}
        for folder in folders.values():
            os.makedirs(folder, exist_ok=True)
        with open(self.config, 'w') as f:
            f.write('[global]\n%sprocess-max=2\nstart-fast=y\nlog-level-file=off\n'
                    'log-level-console=warn\nrepo1-retention-full=1\narchive-async=n\n'
                    'lock-path=%s\nlog-path=%s\nspool-path=%s\n%s'
                    '[bench]\npg1-path=%s\npg1-port=%d\npg1-socket-path=%s\npg1-user=postgres\n'
                    % (self.place.backrest(), folders['lock'], folders['log'], folders['spool'], self.options,
                       cluster.folder, cluster.port, cluster.socket))
        self.cluster.call(*self.command('stanza-create'))
        cluster.set('archive_command', ' '.join(self.command('archive-push', '%p')))

    def backup(self):
        return self.command('backup', '--type=full')

    def again(self):
        pass                            # retention is 1: it expires the one before itself

    def restore(self, target):
        os.makedirs(target, mode=0o700)
        return self.command('--pg1-path=' + target, '--archive-mode=off', 'restore')

    def verifications(self):
        return [('verify', self.command('--output=text', '--verbose', 'verify'))]

    def verified(self, output):
        # 2.45 ends with status 0 also when it has found damage.
        return 'status: ok' in output


class Own(Contender):
    """This project: one repository a setting, all of them defined in the server from its start."""
    family = 'pg_backupctl'
    restored_has_manifest = True

    def __init__(self, bench, name, setting, **params):
        super().__init__(bench, name, setting.partition(' ')[0])
        self.key = '%s %s' % (self.family, setting)
        self.name = name
        self.installed = False
        self.url = self.place.own_url(compression=self.setting, **params)

    def prepare(self, cluster):
        self.installed = False
        super().prepare(cluster)
        cluster.forget_repositories()
        cluster.psql('CREATE EXTENSION IF NOT EXISTS pg_backupctl')
        self.installed = True

    def discard(self):
        super().discard()
        if self.installed:              # a repository that lost what the catalog knows is refused
            self.cluster.psql("DELETE FROM backup_catalog WHERE repository = '%s'" % self.name)

    def call(self, sql):
        return [self.cluster.tool('psql'), '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1'] \
            + self.cluster.connection() + ['-c', sql]

    def backup(self):
        return self.call("SELECT backup_now('full', repository => '%s', options => '{\"checkpoint\": \"fast\"}')"
                         % self.name)

    def client(self, *words):
        return [self.cluster.tool('pg_backupctl')] + list(words)

    def again(self):
        pass                            # backups accumulate until discard()

    def restore(self, target):
        return self.client('restore', '--repo', self.url, '--pgdata', target, '--jobs', '2')

    def verifications(self):
        return [('client', self.client('verify', '--repo', self.url, '--jobs', '2')),
                ('backup_verify', self.call('SELECT backup_verify()'))]


class Limit(Contender):
    """limit.c: what reading, SHA-256 and the codec alone take, with two processes."""
    family = 'limit'
    has_restore = False

    def __init__(self, bench, name, setting):
        super().__init__(bench, name, setting)
        self.folder = self.place.path
        codec, _, level = setting.partition(':')
        self.codec = ['-c', codec, '-l', level or '1', '-j', '2']

    def command(self, *words):
        # What no backup contains: WAL of other times, the server's own run-time files.
        skip = ['pg_wal', 'pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial', 'pg_snapshots',
                'pg_stat_tmp', 'pg_subtrans', 'pgsql_tmp', 'postmaster.pid', 'postmaster.opts']
        argv = [self.bench.limit] + list(words) + self.codec
        for name in skip:
            argv += ['-x', name]
        return argv + [self.cluster.folder]

    def backup(self):
        return self.command('compress')

    def verifications(self):
        return [('decompress', self.command('decompress', '-s', self.folder))]


def all_contenders(bench):
    found = [
        BaseBackup(bench, 'bb-plain', 'plain'),
        BaseBackup(bench, 'bb-zstd1', 'zstd:1', 'server-zstd:level=1,workers=2'),
        BaseBackup(bench, 'bb-zstd3', 'zstd:3', 'server-zstd:level=3,workers=2'),
        BackRest(bench, 'br-zst1', 'zst:1', 'zst', 1),
        BackRest(bench, 'br-zst3', 'zst:3', 'zst', 3),
        BackRest(bench, 'br-lz4', 'lz4:1', 'lz4', 1),
    ]
    if bench.own:
        found += [Own(bench, 'own-zstd1', 'zstd:1'), Own(bench, 'own-zstd3', 'zstd:3'),
                  Own(bench, 'own-lz4', 'lz4:1'), sealed(bench, 'own-sealed')]
    return found + [Limit(bench, 'limit-zstd1', 'zstd:1'), Limit(bench, 'limit-zstd3', 'zstd:3'),
                    Limit(bench, 'limit-lz4', 'lz4:1')]


def s3_contenders(bench):
    """Those with a bucket for their place; names that begin with s3 have one."""
    found = [BackRest(bench, 's3br-zst1', 'zst:1', 'zst', 1), BackRest(bench, 's3br-lz4', 'lz4:1', 'lz4', 1)]
    if bench.own:
        found += [Own(bench, 's3own-zstd1', 'zstd:1'), Own(bench, 's3own-lz4', 'lz4:1')]
    return found


def sealed(bench, name):
    """This project with AES-256-GCM."""
    key = os.path.join(bench.work, name + '.key')
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as f:
        f.write('c35a' * 16 + '\n')
    return Own(bench, name, 'zstd:1 sealed', key_file=key, encryption='required')


def bundled(bench):
    """pgBackRest with its answer to many small files."""
    return BackRest(bench, 'br-bundle', 'zst:1 bundle', 'zst', 1, 'repo1-bundle=y\n')
