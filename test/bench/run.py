#!/usr/bin/python3
"""The benchmark itself.  Started by bench.sh as the user that runs the servers; see README.md."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time

import cluster as clusters
import contenders
import measure
import places
import report
import wal


class Bench:
    def __init__(self, stage):
        self.stage = stage
        self.work = os.path.join(stage, 'bench-work')
        self.out = os.path.join(stage, 'out')
        self.log = os.path.join(self.out, 'bench.log')
        self.limit = os.path.join(stage, 'bench', 'limit')
        self.socket = os.path.join(stage, 'sock')
        self.bindir = os.environ['BINDIR']
        self.own = os.environ['BENCH_OWN'] == '1'
        self.rounds = int(os.environ['ROUNDS'])
        self.megabytes = int(os.environ['BENCH_MB'])
        self.files = int(os.environ['BENCH_FILES'])
        self.seconds = int(os.environ['BENCH_SECONDS'])
        self.port = 51000 + os.getpid() % 9000
        self.records = []
        self.windows = []
        self.wal = {}               # kind of place -> samples
        self.has_s3 = 'BKC_S3_TLS_URL' in os.environ
        self.failures = []
        self.dropped = set()
        self.started = []
        self.load_before = os.getloadavg()[0]
        os.makedirs(self.work, exist_ok=True)

    # ---- small things ----

    def say(self, text):
        print(text, flush=True)

    def place(self, name):
        if name.startswith('s3'):
            return places.Bucket(name)
        return places.Folder(os.path.join(self.work, 'store-' + name))

    def cluster(self, name, port_offset=0):
        return clusters.Cluster(self.bindir, os.path.join(self.work, name), self.socket,
                                self.port + port_offset, self.log)

    def start(self, cluster, *settings):
        self.started.append(cluster)
        cluster.start(*settings)

    def stop_all(self):
        for cluster in self.started:
            if cluster.running():
                try:
                    cluster.stop()
                except (OSError, subprocess.SubprocessError):
                    pass

    def fail(self, contender, what, error):
        """Tell it, and go on without this contender."""
        key = contender.key if contender else 'no backup'
        self.say('  FAILED: %s, %s: %s' % (key, what, str(error)[-1500:]))
        self.failures.append('%s, %s: %s' % (key, what, str(error)[-500:]))
        self.dropped.add(key)

    def wanted(self, all_of_them):
        only = os.environ.get('BENCH_ONLY', '')
        return [c for c in all_of_them if re.search(only, c.key) and c.key not in self.dropped]

    def record(self, phase, round_number, what, contender, figures, **more):
        entry = {'phase': phase, 'round': round_number, 'what': what, 'contender': contender.key}
        entry.update({k: v for k, v in figures.items() if k != 'output'})
        entry.update(more)
        self.records.append(entry)
        self.say('  %-24s %-22s %7.2f s  %7.2f s CPU%s%s' % (
            contender.key, what, entry['wall'], entry['cpu'],
            '  %8.1f MB' % (more['stored'] / 1e6) if more.get('stored') else '',
            '  (warm-up, memory sampled)' if round_number == 0 else ''))

    # ---- servers ----

    def start_with_own(self, cluster):
        """Start the cluster for measuring, with this project in it where that works."""
        settings_file = os.path.join(cluster.folder, 'postgresql.conf')
        with open(settings_file) as f:
            plain = f.read()
        if self.own:
            field = contenders.all_contenders(self)
            if self.has_s3:
                field += contenders.s3_contenders(self)
            repositories = ', '.join('%s=%s' % (c.name, c.url) for c in field
                                     if isinstance(c, contenders.Own))
            with open(settings_file, 'a') as f:
                f.write("shared_preload_libraries = 'pg_backupctl'\npg_backupctl.jobs = 2\n"
                        "pg_backupctl.repositories = '%s'\n" % repositories)
            try:
                self.start(cluster)
                return
            except subprocess.CalledProcessError:
                self.say('bench: the server does not start with pg_backupctl preloaded; it is left out '
                         '(see build/bench/bench.log.server)')
                self.failures.append('the server does not start with pg_backupctl preloaded')
                self.own = False
                with open(settings_file, 'w') as f:
                    f.write(plain)
        self.start(cluster)

    def start_and_check(self, contender, target, expected, check):
        if contender.restored_has_manifest:
            judge = os.path.join(self.bindir, 'pg_verifybackup')
            measure.run([judge, '-n', target], self.log)
        copy = clusters.Cluster(self.bindir, target, self.socket, self.port + 1, self.log)
        try:
            self.start(copy, 'port=%d' % copy.port, 'unix_socket_directories=' + self.socket,
                       'archive_mode=off')
            for _ in range(1200):
                if copy.psql('SELECT pg_is_in_recovery()') == 'f':
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError('the restored server does not end recovery')
            found = copy.psql(check, 'bench')
            if found != expected:
                raise RuntimeError('restored data differ: "%s" instead of "%s"' % (found, expected))
        finally:
            if copy.running():
                copy.stop()
            self.started.remove(copy)

    # ---- one contender, once ----

    def once(self, phase, round_number, contender, cluster, expected, check, restore=True):
        target = os.path.join(self.work, 'restored')
        memory = round_number == 0
        what = 'prepare'
        try:
            contender.prepare(cluster)
            cluster.quiet()
            what = 'backup'
            figures = measure.run(contender.backup(), self.log, server=cluster.pid(), memory=memory)
            more = {'stored': contender.stored()}
            if isinstance(contender, contenders.Limit):
                counted = json.loads(figures['output'])
                more = {'stored': counted['stored'], 'bytes': counted['bytes'], 'files': counted['files']}
            self.record(phase, round_number, what, contender, figures, **more)
            if restore and contender.has_restore:
                what = 'restore'
                os.sync()
                figures = measure.run(contender.restore(target), self.log, memory=memory)
                self.record(phase, round_number, what, contender, figures)
                what = 'check of the restored data'
                self.start_and_check(contender, target, expected, check)
            for name, argv in contender.verifications() if restore else []:
                what = 'verify: ' + name
                os.sync()
                figures = measure.run(argv, self.log, server=cluster.pid(), memory=memory)
                if not contender.verified(figures['output']):
                    raise RuntimeError('it says: ' + figures['output'])
                if isinstance(contender, contenders.Limit):     # its own clock leaves out the first pass
                    own_clock = json.loads(figures['output'])
                    figures = {'wall': own_clock['wall'], 'cpu': own_clock['cpu']}
                self.record(phase, round_number, what, contender, figures)
        except (OSError, RuntimeError, ValueError, measure.CommandFailed,
                subprocess.SubprocessError) as error:
            self.fail(contender, what, error)
        finally:
            shutil.rmtree(target, ignore_errors=True)
            contender.discard()

    def all_rounds(self, phase, rounds, field, cluster, expected, check, restore=True):
        for round_number in range(rounds + 1):
            present = self.wanted(field)
            turn = len(present) * round_number // (rounds + 1)
            self.say('%s, %s' % (phase, 'round %d of %d' % (round_number, rounds) if round_number
                                 else 'warm-up round (memory)'))
            for contender in present[turn:] + present[:turn]:
                self.once(phase, round_number, contender, cluster, expected, check, restore)

    # ---- the phases ----

    def make_main(self):
        cluster = self.cluster('main')
        self.say('loading about %d MB' % self.megabytes)
        cluster.create()
        self.start(cluster, *clusters.LOADING)
        clusters.load(cluster, self.megabytes)
        cluster.stop()
        self.start_with_own(cluster)
        cluster.quiet()
        return cluster

    def phase_main(self, cluster):
        expected = cluster.psql(clusters.CHECK, 'bench')
        self.all_rounds('main', self.rounds, contenders.all_contenders(self), cluster, expected,
                        clusters.CHECK)

    def phase_s3(self, cluster):
        expected = cluster.psql(clusters.CHECK, 'bench')
        self.all_rounds('s3', self.rounds, contenders.s3_contenders(self), cluster, expected,
                        clusters.CHECK)

    def phase_load(self, cluster):
        """pgbench beside back-to-back backups.  It changes the data, so it comes after the rest."""
        field = [None] + self.wanted(
            c for c in contenders.all_contenders(self)
            if c.key in ('pg_basebackup zstd:1', 'pgBackRest zst:1', 'pg_backupctl zstd:1'))
        rounds = max(1, (self.rounds + 1) // 2)
        for kind, options in (('read only', ['-S']), ('read and write', [])):
            self.say('load, %s: pgbench with 2 clients, windows of %d s' % (kind, self.seconds))
            self.window(cluster, kind, options, None, count=False)
            for round_number in range(rounds):
                turn = len(field) * round_number // rounds
                for contender in field[turn:] + field[:turn]:
                    if contender and contender.key in self.dropped:
                        continue
                    try:
                        self.window(cluster, kind, options, contender)
                    except (OSError, RuntimeError, measure.CommandFailed,
                            subprocess.SubprocessError) as error:
                        self.fail(contender, 'load', error)

    def window(self, cluster, kind, options, contender, count=True):
        ended = threading.Event()
        durations = []
        errors = []

        def backups():
            try:
                while not ended.is_set():
                    if durations:
                        contender.again()
                    durations.append(measure.run(contender.backup(), self.log + '.load')['wall'])
            except (OSError, measure.CommandFailed) as error:
                errors.append(error)

        if contender:
            contender.prepare(cluster)
        cluster.quiet()
        worker = threading.Thread(target=backups)
        if contender:
            worker.start()
            time.sleep(0.3)
        try:
            output = measure.run([cluster.tool('pgbench'), '-n', '-M', 'prepared', '-c', '2', '-T',
                                  str(self.seconds)] + options + cluster.connection()[:6] + ['bench'],
                                 self.log)['output']
        finally:
            ended.set()
            if contender:
                worker.join()
                contender.discard()
        if errors:
            raise errors[0]
        if not count:
            return                      # the first one, which warms the caches
        tps = float(re.search(r'^tps = ([\d.]+)', output, re.M).group(1))
        latency = float(re.search(r'^latency average = ([\d.]+)', output, re.M).group(1))
        name = contender.key if contender else 'no backup'
        self.windows.append({'kind': kind, 'contender': name, 'tps': tps, 'latency_ms': latency,
                             'backup_seconds': durations})
        self.say('  %-24s %9.0f tps%s' % (name, tps, '  backups of ' + ', '.join(
            '%.1f s' % d for d in durations) if durations else ''))

    def phase_files(self):
        """What tens of thousands of small relations add."""
        cluster = self.cluster('files', 2)
        cluster.create('max_locks_per_transaction = 2000\n')
        rounds = min(3, self.rounds)
        names = ('pg_basebackup zstd:1', 'pgBackRest zst:1', 'pg_backupctl zstd:1', 'limit zstd:1')
        self.start_with_own(cluster)
        field = [c for c in contenders.all_contenders(self) if c.key in names] \
            + [contenders.bundled(self)]
        self.all_rounds('no files', rounds, field, cluster, '', '', restore=False)
        cluster.stop()
        self.say('making about %d small files' % self.files)
        self.start(cluster, *clusters.LOADING)
        clusters.load_small_files(cluster, self.files)
        cluster.stop()
        self.start(cluster)
        cluster.quiet()
        expected = cluster.psql(clusters.SMALL_CHECK, 'bench')
        self.all_rounds('files', rounds, field, cluster, expected, clusters.SMALL_CHECK)
        cluster.stop()

    def write_results(self):
        facts = {
            'cores': os.cpu_count(), 'machine': platform.machine(), 'kernel': platform.release(),
            'processor': processor(), 'rounds': self.rounds, 'megabytes': self.megabytes,
            'load_before': self.load_before, 'small_files': self.files, 'window_seconds': self.seconds,
            'postgres': output_of(os.path.join(self.bindir, 'postgres'), '--version'),
            'pgbackrest': output_of('pgbackrest', 'version'),
        }
        results = {'facts': facts, 'records': self.records, 'load': self.windows, 'wal': self.wal,
                   'failures': self.failures}
        results['targets'] = report.targets(results)
        text = report.text(results)
        with open(os.path.join(self.out, 'results.json'), 'w') as f:
            json.dump(results, f, indent=1)
        with open(os.path.join(self.out, 'results.txt'), 'w') as f:
            f.write(text)
        self.say('\n' + text)

    def run(self):
        phases = os.environ['BENCH_PHASES'].split()
        if self.load_before > 0.5:
            self.say('bench: this machine is busy (load average %.1f); the figures will say little'
                     % self.load_before)
        try:
            if 'main' in phases or 'load' in phases or 's3' in phases:
                cluster = self.make_main()
                if 'main' in phases:
                    self.phase_main(cluster)
                if 's3' in phases:
                    self.phase_s3(cluster)
                if 'load' in phases:
                    self.phase_load(cluster)
                cluster.stop()
                shutil.rmtree(cluster.folder)
            if 'files' in phases:
                self.phase_files()
            if 'wal' in phases:
                self.wal['wal'] = wal.WalPhase(self, 'wal').run()
            if 's3wal' in phases:
                self.wal['s3wal'] = wal.WalPhase(self, 's3wal').run()
        finally:
            self.stop_all()
            self.write_results()
        return 1 if self.failures else 0


def output_of(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()


def processor():
    with open('/proc/cpuinfo') as f:
        for line in f:
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return '?'


if __name__ == '__main__':
    try:
        sys.exit(Bench(sys.argv[1]).run())
    except KeyboardInterrupt:
        sys.exit(130)
