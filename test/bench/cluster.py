"""The servers that are measured, and the data in them."""

import os
import random
import subprocess
import threading
import time

SETTINGS = """
listen_addresses = ''
unix_socket_directories = '%(socket)s'
port = %(port)d
shared_buffers = 256MB
maintenance_work_mem = 256MB
max_wal_size = 8GB
checkpoint_timeout = 1h
autovacuum = off
jit = off
max_worker_processes = 16
wal_level = replica
max_wal_senders = 10
archive_mode = on
archive_command = 'true'
log_checkpoints = off
"""

# For loading only: no WAL for what a CREATE TABLE AS writes, nothing synced.
LOADING = ['wal_level=minimal', 'max_wal_senders=0', 'archive_mode=off', 'fsync=off',
           'full_page_writes=off', 'synchronous_commit=off', 'max_locks_per_transaction=2000']


class Cluster:
    def __init__(self, bindir, folder, socket, port, log):
        self.bindir = bindir
        self.folder = folder
        self.socket = socket
        self.port = port
        self.log = log

    def tool(self, name):
        return os.path.join(self.bindir, name)

    def call(self, *argv):
        with open(self.log, 'ab') as log:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)

    def create(self, more_settings=''):
        self.call(self.tool('initdb'), '-D', self.folder, '-U', 'postgres', '-A', 'trust', '-k', '-N',
                  '-E', 'UTF8', '--locale=C')
        with open(os.path.join(self.folder, 'postgresql.conf'), 'a') as f:
            f.write(SETTINGS % {'socket': self.socket, 'port': self.port} + more_settings)

    def start(self, *settings):
        options = ' '.join("-c %s" % s for s in settings)
        self.call(self.tool('pg_ctl'), '-D', self.folder, '-l', self.log + '.server', '-w', '-t', '600',
                  '-o', options, 'start')

    def stop(self):
        self.call(self.tool('pg_ctl'), '-D', self.folder, '-w', '-t', '600', '-m', 'fast', 'stop')

    def running(self):
        return os.path.exists(os.path.join(self.folder, 'postmaster.pid'))

    def pid(self):
        with open(os.path.join(self.folder, 'postmaster.pid')) as f:
            return int(f.readline())

    def connection(self, database='postgres'):
        return ['-h', self.socket, '-p', str(self.port), '-U', 'postgres', '-d', database]

    def psql(self, sql, database='postgres'):
        result = subprocess.run(
            [self.tool('psql'), '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-f', '-']
            + self.connection(database), input=sql, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True)
        if result.returncode != 0:
            raise RuntimeError('psql: %s\n%s' % (result.stderr.strip()[-1000:], sql[:500]))
        return result.stdout.strip()

    def set(self, name, value):
        self.psql("ALTER SYSTEM SET %s = '%s'" % (name, value.replace("'", "''")))
        self.psql('SELECT pg_reload_conf()')

    def forget_repositories(self):
        """A new, empty repository under an old name is refused; here it is on purpose."""
        marks = os.path.join(self.folder, 'pg_backupctl')
        for name in os.listdir(marks) if os.path.isdir(marks) else []:
            if name.startswith('repository.'):
                os.unlink(os.path.join(marks, name))

    def quiet(self):
        """Nothing left to write or to archive for whoever comes next."""
        self.psql('CHECKPOINT')
        self.psql('SELECT pg_switch_wal()')
        for _ in range(200):
            # .ready files of the time before belong to nobody's measurement
            status = os.listdir(os.path.join(self.folder, 'pg_wal', 'archive_status'))
            if not any(name.endswith('.ready') for name in status):
                break
            time.sleep(0.05)
        os.sync()


# ---- the data set ----

def words():
    """Half a megabyte of text, more than a compressor looks back, with words as uneven as real ones."""
    source = random.Random(7)
    letters = 'etaoinshrdlucmfwypvbgkjqxz'
    lexicon = [''.join(source.choices(letters, weights=range(26, 0, -1), k=source.randint(2, 10)))
               for _ in range(3000)]
    weights = [1.0 / (n + 5) for n in range(len(lexicon))]
    return ' '.join(source.choices(lexicon, weights=weights, k=120000))[:500000]


def text_sql(text, length):
    """SQL for a piece of that text; bytea, because substr() of text would count characters."""
    return ("convert_from(substring('%s'::bytea from 1 + (random() * 499000)::int for %d), 'UTF8')"
            % (text, length))


# name, share of the whole, bytes a row takes with its indexes, SQL of the rows, indexes
TABLES = [
    ('event', 0.50, 272, """
        SELECT i::bigint AS id,
               timestamptz '2026-01-01' + i * interval '0.7 s' + random() * interval '1 s' AS at,
               (random() * 100000)::int AS account,
               (random() * 100000)::numeric(12, 2) AS amount,
               md5(i::text) AS ref,
               %(note)s AS note
          FROM generate_series(1, %(rows)d) i""",
     ['CREATE INDEX ON event (id)', 'CREATE INDEX ON event (ref)']),
    ('document', 0.26, 608, """
        SELECT i AS id,
               jsonb_build_object('name', %(name)s, 'session', md5(i::text), 'active', random() < 0.5,
                   'score', round((random() * 1000)::numeric, 3),
                   'lines', jsonb_build_array(
                       jsonb_build_object('sku', (random() * 99999)::int, 'number', (random() * 20)::int),
                       jsonb_build_object('sku', (random() * 99999)::int, 'number', (random() * 20)::int)),
                   'comment', %(comment)s) AS body
          FROM generate_series(1, %(rows)d) i""",
     ['CREATE INDEX ON document (id)']),
    ('image', 0.13, 6250, """
        SELECT i AS id,
               (SELECT string_agg(uuid_send(gen_random_uuid()), '')
                  FROM generate_series(1, 374) WHERE i > 0) AS content
          FROM generate_series(1, %(rows)d) i""",
     []),
]
PGBENCH_SHARE = 0.11
PGBENCH_SCALE_MB = 15.0


def create_table(cluster, megabytes, table, text):
    name, share, row_bytes, sql, indexes = table
    rows = int(megabytes * share * 1e6 / row_bytes)
    query = sql % {'rows': rows, 'name': text_sql(text, 12), 'note': text_sql(text, 90),
                   'comment': text_sql(text, 260)}
    cluster.psql('SELECT setseed(0.5);\n'
                 'CREATE TABLE %s AS %s;\n%s' % (name, query, ';\n'.join(indexes)), 'bench')


def load(cluster, megabytes):
    """Fill the running cluster's database "bench", in two sessions."""
    text = words()
    cluster.psql('CREATE DATABASE bench')
    scale = max(1, int(megabytes * PGBENCH_SHARE / PGBENCH_SCALE_MB))
    failures = []

    def session(*steps):
        try:
            for step in steps:
                step()
        except Exception as e:      # told by the main thread
            failures.append(e)

    def table(n):
        return lambda: create_table(cluster, megabytes, TABLES[n], text)

    def pgbench():
        cluster.call(cluster.tool('pgbench'), '-i', '-q', '-s', str(scale), *cluster.connection('bench'))

    other = threading.Thread(target=session, args=(table(0),))
    other.start()
    session(table(1), table(2), pgbench)
    other.join()
    if failures:
        raise failures[0]
    cluster.psql('VACUUM (FREEZE, ANALYZE)', 'bench')


CHECK = """
SELECT count(*), sum(hashint8(id)::bigint), sum(hashtext(ref)::bigint), sum(hashtext(note)::bigint)
  FROM event;
SELECT count(*), sum(jsonb_hash(body)::bigint) FROM document;
SELECT count(*), sum(hashtext(md5(content))::bigint) FROM image;
SELECT count(*), sum(abalance), sum(aid::bigint) FROM pgbench_accounts;
"""


def load_small_files(cluster, files):
    """Tables with a primary key and a TOAST table: four files each."""
    cluster.psql('CREATE DATABASE bench')
    tables = files // 4
    for first in range(1, tables + 1, 500):
        cluster.psql("""
            DO $$
            BEGIN
                FOR i IN %d..%d LOOP
                    EXECUTE format('CREATE TABLE small_%%s (id int PRIMARY KEY, note text)', i);
                    EXECUTE format('INSERT INTO small_%%s '
                                   'SELECT n, md5(n::text) FROM generate_series(1, 20) n', i);
                END LOOP;
            END
            $$""" % (first, min(first + 499, tables)), 'bench')


# The rows of every one of them.
SMALL_CHECK = """
SELECT count(*), sum((xpath('//n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I', relname),
                                                       false, true, '')))[1]::text::int)
  FROM pg_class WHERE relname ~ '^small_[0-9]+$';
"""
