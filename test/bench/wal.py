"""Archiving: a backlog, one switch to durable, and the way back through restore_command."""

import os
import re
import shutil
import subprocess
import threading
import time

import measure
import places

BACKLOG_SEGMENTS = 70
SWITCHES = 40
LATENCY_MS = 40
TICK = os.sysconf('SC_CLK_TCK')

# Random words of random digits, made once: WAL that zstd reduces as it does table data.
SOURCE = """
CREATE TABLE wal_fill (t text);
SELECT setseed(0.25);
CREATE UNLOGGED TABLE wal_source AS
SELECT string_agg(md5(random()::text || i) || ' ' || repeat(substr(md5(i::text), 1, 4), 8), ' ') AS t
  FROM generate_series(1, %d) i GROUP BY i / 20;
"""
FILL = 'TRUNCATE wal_fill; INSERT INTO wal_fill SELECT t FROM wal_source'
ROWS_PER_SEGMENT = 215000


def busy_seconds():
    """CPU time of the whole machine: pgBackRest's asynchronous process is nobody's child."""
    with open('/proc/stat') as f:
        fields = [int(x) for x in f.readline().split()[1:]]
    return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / TICK


class Archiving:
    """One way to archive: settings, where it stores, how recovery fetches."""

    def __init__(self, key, place, library='', command='', fetch='', before=None):
        self.key = key
        self.place = place
        self.library = library
        self.command = command
        self.fetch = fetch
        self.before = before


class WalPhase:
    """Kind "wal": local folders.  "s3wal": a bucket, also as it were 40 ms away."""

    def __init__(self, bench, kind):
        self.bench = bench
        self.kind = kind
        self.on_s3 = kind == 's3wal'
        self.cluster = bench.cluster(kind, 4 if kind == 'wal' else 6)
        self.restored = os.path.join(bench.work, kind + '-restored')
        self.samples = {}           # (what, contender) -> list of values, a round each
        self.memory = {}
        self.proxies = []

    # ---- contenders ----

    def place(self, name, port=None):
        if self.on_s3:
            return places.Bucket('wal-' + name, port)
        return places.Folder(os.path.join(self.bench.work, 'wal-' + name))

    def backrest(self, name, asynchronous):
        config = os.path.join(self.bench.work, '%s-%s.conf' % (self.kind, name))
        folders = {p: os.path.join(self.bench.work, '%s-%s-%s' % (self.kind, name, p))
                   for p in ('lock', 'log', 'spool')}
        place = self.place(name)

        def before():
            for folder in folders.values():
                shutil.rmtree(folder, ignore_errors=True)
                os.makedirs(folder)
            with open(config, 'w') as f:
                f.write('[global]\n%sprocess-max=2\nlog-level-file=off\n'
                        'log-level-console=warn\narchive-async=%s\narchive-push-queue-max=1TB\n'
                        'compress-type=zst\ncompress-level=1\n'
                        'lock-path=%s\nlog-path=%s\nspool-path=%s\n'
                        '[bench]\npg1-path=%s\npg1-port=%d\npg1-socket-path=%s\npg1-user=postgres\n'
                        % (place.backrest(), 'y' if asynchronous else 'n', folders['lock'], folders['log'],
                           folders['spool'], self.cluster.folder, self.cluster.port,
                           self.cluster.socket))
            self.cluster.call('pgbackrest', '--config=' + config, '--stanza=bench', 'stanza-create')

        base = 'pgbackrest --config=%s --stanza=bench ' % config
        return Archiving('pgBackRest async' if asynchronous else 'pgBackRest sync', place,
                         command=base + 'archive-push %p',
                         fetch=base + '--pg1-path=%s archive-get %%f "%%p"' % self.restored,
                         before=before)

    def own(self, key, place):
        """Ours, with that place for its only repository."""
        url = place.own_url()

        def before():
            self.cluster.set('pg_backupctl.repositories', 'main=' + url)

        return Archiving(key, place, library='pg_backupctl', before=before,
                         fetch="%s wal-get --repo '%s' %%f %%p"
                         % (os.path.join(self.bench.bindir, 'pg_backupctl'), url))

    def contenders(self):
        found = [self.backrest('sync', False), self.backrest('async', True)]
        if not self.on_s3:
            place = self.place('cp')
            found.insert(0, Archiving('cp', place, command='cp %%p %s/%%f' % place.path,
                                      fetch='cp %s/%%f "%%p"' % place.path))
        if self.bench.own:
            found.append(self.own('pg_backupctl', self.place('own')))
        if self.bench.own and self.on_s3:
            found += [self.own('pg_backupctl, %d ms' % ms, self.place('own', self.proxy(ms)))
                      for ms in (0, LATENCY_MS)]
        return [c for c in found if re.search(os.environ.get('BENCH_ONLY', ''), c.key)]

    def proxy(self, ms):
        """The port of a proxy that delays requests.  With 0 it shows what the proxy itself costs."""
        port = self.cluster.port + 10 + len(self.proxies)
        process = subprocess.Popen(
            ['/usr/bin/python3', os.path.join(os.path.dirname(__file__), 'latency.py'), str(port),
             str(places.Bucket('').port), str(ms)], stdout=subprocess.PIPE, universal_newlines=True)
        self.proxies.append(process)
        process.stdout.readline()
        return port

    # ---- switching ----

    def archiver(self):
        """(pid, seconds since its start), None while there is none."""
        found = self.cluster.psql("SELECT pid || ' ' || extract(epoch FROM clock_timestamp() - backend_start) "
                                  "FROM pg_stat_activity WHERE backend_type = 'archiver'").split()
        return (int(found[0]), float(found[1])) if found else None

    def set_library(self, value):
        """
        Another library is another archiver process, and PostgreSQL starts none within ten seconds
        of the last one: whoever does not wait for that may wait for a minute.
        """
        if self.cluster.psql('SHOW archive_library') == value:
            return
        before = self.archiver()
        while before is None or before[1] < 10.5:
            time.sleep(0.1)
            before = self.archiver()
        self.cluster.set('archive_library', value)
        now = self.archiver()
        while now is None or now[0] == before[0]:
            time.sleep(0.05)
            now = self.archiver()

    def archive_nothing(self, contender):
        """Until use(): the contender's archiver is there and archives nothing."""
        if contender.library:
            self.cluster.set('pg_backupctl.enabled', 'off')
            self.cluster.set('archive_command', '')
        else:
            self.cluster.set('archive_command', 'false')
        self.set_library(contender.library)

    def waiting(self):
        status = os.path.join(self.cluster.folder, 'pg_wal', 'archive_status')
        return sum(name.endswith('.ready') for name in os.listdir(status))

    def drain(self):
        while self.waiting() > 0:
            time.sleep(0.005)

    def use(self, contender):
        """Takes effect by one reload."""
        if contender.library:
            self.cluster.set('pg_backupctl.enabled', 'on')
        else:
            self.cluster.set('archive_command', contender.command)

    def prepare(self, contender):
        """Empty store, nothing waiting."""
        self.cluster.set('archive_command', 'true')
        self.set_library('')
        self.cluster.psql('CHECKPOINT; SELECT pg_switch_wal()')
        self.drain()
        contender.place.begin()
        self.cluster.forget_repositories()
        if contender.before:
            contender.before()

    def note(self, what, contender, value):
        self.samples.setdefault((what, contender.key), []).append(value)

    # ---- measurements ----

    def archiver_memory(self, ended, contender):
        while not ended.wait(0.02):
            for pid, (parent, _) in measure.process_table().items():
                try:
                    with open('/proc/%d/cmdline' % pid, 'rb') as f:
                        command = f.read().replace(b'\0', b' ').decode(errors='replace')
                    if command.startswith('postgres: archiver') and parent == self.cluster.pid():
                        anonymous = measure.process_memory(pid)[0]
                        self.memory[contender.key] = max(self.memory.get(contender.key, 0), anonymous)
                except OSError:
                    continue

    def backlog(self, contender, round_number):
        self.prepare(contender)
        self.archive_nothing(contender)
        self.cluster.psql(FILL)
        self.cluster.psql('SELECT pg_switch_wal()')
        segments = self.waiting()
        os.sync()
        ended = threading.Event()
        sampler = threading.Thread(target=self.archiver_memory, args=(ended, contender))
        if round_number == 0:
            sampler.start()
        cpu = busy_seconds()
        began = time.monotonic()
        self.use(contender)
        self.drain()
        wall = time.monotonic() - began
        time.sleep(0.3)             # children that end
        cpu = busy_seconds() - cpu
        if round_number == 0:
            ended.set()
            sampler.join()
            return
        self.note('backlog segments/s', contender, segments / wall)
        self.note('backlog s', contender, wall)
        self.note('backlog CPU s', contender, cpu)
        stored = contender.place.stored() / 1e6
        self.note('backlog stored MB', contender, stored)
        self.note('backlog segments', contender, segments)
        self.bench.say('  %-20s backlog of %d segments: %6.2f s, %6.2f s CPU, %7.1f MB stored'
                       % (contender.key, segments, wall, cpu, stored))

    def one_switch(self, status):
        lsn = self.session('INSERT INTO wal_fill SELECT md5(i::text) FROM generate_series(1, 100) i;'
                           "SELECT pg_walfile_name(pg_current_wal_lsn())")
        done = os.path.join(status, lsn + '.done')
        began = time.monotonic()
        self.session('SELECT 1 FROM pg_switch_wal()')
        while not os.path.exists(done):
            if time.monotonic() - began > 60:
                raise RuntimeError('segment %s is not archived' % lsn)
            time.sleep(0.0002)
        return (time.monotonic() - began) * 1000

    def session(self, sql):
        """One statement in a psql that stays, so that its start is in no figure."""
        self.psql.stdin.write(sql + ';\n\\echo end\n')
        self.psql.stdin.flush()
        last = ''
        for line in self.psql.stdout:
            if line.strip() == 'end':
                return last
            last = line.strip()
        raise RuntimeError('psql has ended')

    def switches(self, contender, round_number):
        self.prepare(contender)
        self.archive_nothing(contender)
        self.use(contender)
        status = os.path.join(self.cluster.folder, 'pg_wal', 'archive_status')
        self.psql = subprocess.Popen(
            [self.cluster.tool('psql'), '-X', '-q', '-A', '-t'] + self.cluster.connection(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        try:
            self.one_switch(status)
            times = sorted(self.one_switch(status) for _ in range(SWITCHES))
        finally:
            self.psql.stdin.close()
            self.psql.wait()
        if round_number == 0:
            return
        self.note('switch ms', contender, times[len(times) // 2])
        self.note('switch p95 ms', contender, times[int(len(times) * 0.95)])
        self.bench.say('  %-20s one switch: %6.1f ms, p95 %6.1f ms'
                       % (contender.key, times[len(times) // 2], times[int(len(times) * 0.95)]))

    def replay(self, contender, round_number):
        """Recovery of a base backup over the backlog, by that restore_command."""
        target = self.restored
        base = os.path.join(self.bench.work, self.kind + '-base')
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(base, ignore_errors=True)
        self.prepare(contender)
        self.archive_nothing(contender)
        self.use(contender)
        self.cluster.call(self.cluster.tool('pg_basebackup'), '-D', base, '-X', 'none', '-c', 'fast',
                          *self.cluster.connection()[:6])
        self.cluster.psql(FILL)
        self.cluster.psql("SELECT pg_create_restore_point('end'); SELECT pg_switch_wal()")
        time.sleep(0.2)
        self.drain()
        copy = type(self.cluster)(self.cluster.bindir, target, self.cluster.socket,
                                  self.cluster.port + 1, self.cluster.log + '.replay')
        shutil.copytree(base, target, symlinks=True)
        open(os.path.join(target, 'recovery.signal'), 'w').close()
        with open(os.path.join(target, 'postgresql.auto.conf'), 'w') as f:
            f.write("restore_command = '%s'\nrecovery_target_name = 'end'\nrecovery_target_action = promote\n"
                    "recovery_target_timeline = current\narchive_mode = off\nport = %d\nfsync = off\n"
                    "shared_preload_libraries = ''\n"
                    % (contender.fetch.replace("'", "''"), copy.port))
        log = copy.log + '.server'
        if os.path.exists(log):
            os.unlink(log)
        try:
            self.bench.start(copy)
            for _ in range(3000):
                if copy.psql('SELECT pg_is_in_recovery()') == 'f':
                    break
                time.sleep(0.1)
        finally:
            if copy.running():
                copy.stop()
            self.bench.started.remove(copy)
            shutil.rmtree(target, ignore_errors=True)
        with open(log) as f:
            found = re.search(r'redo done at .*elapsed: ([\d.]+) s', f.read())
        if round_number > 0:
            self.note('replay s', contender, float(found.group(1)))
            self.bench.say('  %-20s replay of %d segments: %6.2f s'
                           % (contender.key, BACKLOG_SEGMENTS, float(found.group(1))))

    # ---- all of it ----

    def run(self):
        self.cluster.create("max_wal_size = 4GB\nwal_keep_size = 0\nsynchronous_commit = on\n"
                            "shared_preload_libraries = '%s'\n%s" % (
                                'pg_backupctl' if self.bench.own else '',
                                'pg_backupctl.rpo_target = 0\n' if self.bench.own else ''))
        self.bench.start(self.cluster)
        self.cluster.psql(SOURCE % (BACKLOG_SEGMENTS * ROWS_PER_SEGMENT))
        field = self.contenders()
        wanted = os.environ.get('BENCH_WAL', 'backlog switch replay').split()
        if self.on_s3:
            wanted = [what for what in wanted if what != 'switch']
        for what, step in (('backlog', self.backlog), ('switch', self.switches), ('replay', self.replay)):
            if what not in wanted:
                continue
            for round_number in range(self.bench.rounds + 1):
                self.bench.say('%s, %s, %s' % (self.kind, what, 'round %d of %d' % (round_number, self.bench.rounds)
                                                if round_number else 'warm-up round'))
                turn = len(field) * round_number // (self.bench.rounds + 1)
                for contender in field[turn:] + field[:turn]:
                    if contender.key in self.bench.dropped:
                        continue
                    try:
                        step(contender, round_number)
                    except (OSError, RuntimeError, AttributeError, subprocess.SubprocessError) as error:
                        self.bench.fail(contender, what, error)
        self.cluster.stop()
        for process in self.proxies:
            process.kill()
            process.wait()
        return {'samples': {'%s | %s' % key: values for key, values in self.samples.items()},
                'archiver_private_kib': self.memory}
