"""Medians, ranges, ratios and the targets, from the records of run.py."""

from statistics import median

OURS = 'pg_backupctl zstd:1'
PEER = 'pgBackRest zst:1'


def values(results, contender, what='backup', field='wall', phase='main'):
    """One value a timed round, in the order of the rounds."""
    return [r[field] for r in results['records']
            if r['contender'] == contender and r['what'] == what and r['phase'] == phase
            and r['round'] > 0 and field in r]


def middle(results, *which, **more):
    found = values(results, *which, **more)
    return median(found) if found else None


def ratio(a, b):
    return a / b if a is not None and b else None


def memory(results, contender, what='backup', phase='main'):
    for r in results['records']:
        if (r['contender'], r['what'], r['phase'], r['round']) == (contender, what, phase, 0):
            return r.get('memory')
    return None


def contenders_of(results, what, phase):
    seen = {}
    for r in results['records']:
        if r['phase'] == phase and (r['what'] == what or what.endswith(':') and r['what'].startswith(what)):
            seen.setdefault((r['contender'], r['what']), None)
    order = ['pg_basebackup', 'pgBackRest', 'pg_backupctl', 'limit']
    settings = ['plain', 'zstd:1', 'zst:1', 'zst:1 bundle', 'zstd:1 sealed', 'zstd:3', 'zst:3', 'lz4:1']
    return sorted(seen, key=lambda s: (order.index(s[0].split()[0]),
                                       settings.index(s[0].partition(' ')[2]), s[1]))


def limit_of(contender):
    """The limit with the same codec and level."""
    setting = contender.partition(' ')[2].split()[0].replace('zst:', 'zstd:')
    return 'limit ' + setting


def show(value, form='%.2f'):
    return '-' if value is None else form % value


def spread(found, form='%.2f'):
    if not found:
        return '-'
    if len(found) == 1:
        return form % found[0]
    return (form + ' (' + form + '-' + form + ')') % (median(found), min(found), max(found))


def table(title, head, rows):
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    lines = [title, '']
    for n, row in enumerate([head] + rows):
        cells = [str(cell).ljust(w) if i == 0 else str(cell).rjust(w)
                 for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append('  '.join(cells).rstrip())
        if n == 0:
            lines.append('  '.join('-' * w for w in widths))
    return '\n'.join(lines) + '\n'


def peak(found):
    """(all processes together, the largest one) in MiB."""
    if not found:
        return '-', '-'
    largest = max([p['private_kib'] for p in found['processes'].values()] or [0])
    return '%.0f' % (found['private_kib'] / 1024), '%.0f' % (largest / 1024)


def backup_table(results, phase='main', title='Full backup'):
    original = original_bytes(results, phase)
    rows = []
    for key, what in contenders_of(results, 'backup', phase):
        wall = values(results, key, phase=phase)
        stored = middle(results, key, field='stored', phase=phase)
        together, largest = peak(memory(results, key, phase=phase))
        rows.append([key, spread(wall), spread(values(results, key, field='cpu', phase=phase)),
                     together, largest, show(stored / 1e6 if stored else None, '%.0f'),
                     show(ratio(stored, original) and 100 * ratio(stored, original), '%.1f %%'),
                     show(ratio(median(wall) if wall else None,
                                middle(results, limit_of(key), phase=phase))),
                     show(ratio(median(wall) if wall else None, middle(results, PEER, phase=phase)))])
    return table(title + (' of %.0f MB' % (original / 1e6) if original else ''),
                 ['', 'wall s', 'CPU s', 'memory MiB', 'largest', 'stored MB', 'of plain', 'x limit',
                  'x ' + PEER], rows)


def original_bytes(results, phase='main'):
    return middle(results, 'limit zstd:1', field='bytes', phase=phase)


def other_table(results, what, title, phase='main'):
    rows = []
    original = original_bytes(results, phase)
    for key, exact in contenders_of(results, what, phase):
        wall = values(results, key, exact, phase=phase)
        together, largest = peak(memory(results, key, exact, phase=phase))
        yardstick = {'restore': (PEER, 'restore')}.get(
            what, (limit_of(key), 'verify: decompress'))
        speed = ratio(original, median(wall)) if wall and original else None
        rows.append([key + (' (%s)' % exact.partition(': ')[2] if ': ' in exact else ''), spread(wall),
                     spread(values(results, key, exact, field='cpu', phase=phase)), together, largest,
                     show(speed and speed / 1e6, '%.0f'),
                     show(ratio(median(wall) if wall else None,
                                middle(results, *yardstick, phase=phase)))])
    return table(title, ['', 'wall s', 'CPU s', 'memory MiB', 'largest', 'MB/s',
                         'x ' + PEER if what == 'restore' else 'x limit'], rows)


def added_seconds(results, key):
    with_files, without = (middle(results, key, phase=p) for p in ('files', 'no files'))
    return with_files - without if with_files is not None and without is not None else None


def files_table(results):
    rows = []
    for key, _ in contenders_of(results, 'backup', 'files'):
        rows.append([key, spread(values(results, key, phase='no files')),
                     spread(values(results, key, phase='files')), show(added_seconds(results, key)),
                     show(middle(results, key, field='cpu', phase='files')),
                     spread(values(results, key, 'restore', phase='files'))])
    counts = values(results, 'limit zstd:1', field='files', phase='files')
    return table('Small files' + (': %d in the cluster' % counts[0] if counts else ''),
                 ['', 'without s', 'with s', 'added s', 'CPU s', 'restore s'], rows)


def load_table(results):
    rows = []
    for kind in ('read only', 'read and write'):
        def found(name, field):
            return [w[field] for w in results['load'] if w['kind'] == kind and w['contender'] == name]
        names = list(dict.fromkeys(w['contender'] for w in results['load'] if w['kind'] == kind))
        for name in sorted(names, key=lambda n: n != 'no backup'):
            seconds = [s for window in found(name, 'backup_seconds') for s in window]
            alone = found('no backup', 'tps')
            rows.append(['%s, %s' % (kind, name), spread(found(name, 'tps'), '%.0f'),
                         show(ratio(median(found(name, 'tps')), median(alone)) if alone else None),
                         show(median(found(name, 'latency_ms')), '%.3f'),
                         spread(seconds, '%.1f')])
    return table('pgbench, 2 clients, beside back-to-back backups',
                 ['', 'tps', 'of no backup', 'latency ms', 'one backup s'], rows)


# ---- targets ----

def processes_of_ours(results, phase):
    """(largest worker, leader) in KiB of private memory."""
    found = memory(results, OURS, phase=phase)
    if not found:
        return None, None
    leader = worker = None
    for name, p in found['processes'].items():
        if 'pg_backupctl' not in name:
            continue
        if ' copy' in name:
            worker = max(worker or 0, p['private_kib'])
        else:
            leader = max(leader or 0, p['private_kib'])
    return worker, leader


def target(name, figure, limit, at_most=True, form='%.2f', per_round=()):
    if figure is None:
        state = 'not measured'
    else:
        state = 'pass' if (figure <= limit if at_most else figure >= limit) else 'MISS'
    return {'target': name, 'figure': figure, 'limit': limit, 'at_most': at_most, 'state': state,
            'form': form, 'rounds': [min(per_round), max(per_round)] if per_round else None}


def against(name, results, upper, lower, bound, at_most, **more):
    """A ratio of medians, with the range of the ratios round by round."""
    up, low = values(results, *upper[:2], **upper[2]), values(results, *lower[:2], **lower[2])
    both = [a / b for a, b in zip(up, low)] if len(up) == len(low) else []
    return target(name, ratio(middle(results, *upper[:2], **upper[2]),
                              middle(results, *lower[:2], **lower[2])), bound, at_most, per_round=both)


# ---- archiving ----

WAL_COLUMNS = (('backlog s', '%.2f'), ('backlog segments/s', '%.1f'), ('backlog CPU s', '%.2f'),
               ('backlog stored MB', '%.0f'), ('switch ms', '%.1f'), ('switch p95 ms', '%.1f'),
               ('replay s', '%.2f'))


def wal_values(results, what, contender, kind='wal'):
    return results['wal'][kind]['samples'].get('%s | %s' % (what, contender), [])


def wal_table(results, kind, title):
    names = list(dict.fromkeys(key.partition(' | ')[2] for key in results['wal'][kind]['samples']))
    memory_of = results['wal'][kind]['archiver_private_kib']
    rows = [[name] + [spread(wal_values(results, what, name, kind), form) for what, form in WAL_COLUMNS]
            + [show(memory_of.get(name) and memory_of[name] / 1024, '%.1f')] for name in names]
    return table(title, [''] + [what for what, _ in WAL_COLUMNS] + ['archiver MiB'], rows)


def against_wal(results, kind, name, what, upper, lower, bound, at_most):
    up, low = wal_values(results, what, upper, kind), wal_values(results, what, lower, kind)
    both = [a / b for a, b in zip(up, low)] if len(up) == len(low) else []
    return target(name, ratio(median(up) if up else None, median(low) if low else None), bound,
                  at_most, per_round=both)


OWN_WAL = 'pg_backupctl'
ASYNC, SYNC = 'pgBackRest async', 'pgBackRest sync'

# kind, name, what, upper, lower, bound, at most
WAL_TARGETS = (
    ('wal', 'backlog: pgBackRest async wall, times ours', 'backlog s', ASYNC, OWN_WAL, 1.4, False),
    ('wal', 'backlog: pgBackRest sync wall, times ours', 'backlog s', SYNC, OWN_WAL, 2.5, False),
    ('wal', 'backlog: stored, times pgBackRest async', 'backlog stored MB', OWN_WAL, ASYNC, 1.03, True),
    ('wal', 'backlog: CPU, times pgBackRest async', 'backlog CPU s', OWN_WAL, ASYNC, 1.0, True),
    ('wal', 'one switch, times pgBackRest sync', 'switch ms', OWN_WAL, SYNC, 0.6, True),
    ('wal', 'replay, times cp', 'replay s', OWN_WAL, 'cp', 1.0, True),
    ('s3wal', 'S3, backlog: pgBackRest async wall, times ours', 'backlog s', ASYNC, OWN_WAL, 1.5, False),
    ('s3wal', 'S3, backlog: pgBackRest sync wall, times ours', 'backlog s', SYNC, OWN_WAL, 4.0, False),
    ('s3wal', 'S3, backlog: wall with 40 ms more a request, times without', 'backlog s',
     OWN_WAL + ', 40 ms', OWN_WAL + ', 0 ms', 1.2, True),
)


def wal_targets(results):
    found = [against_wal(results, *line) for line in WAL_TARGETS if line[0] in results['wal']]
    for kind in results['wal']:
        memory_of = results['wal'][kind]['archiver_private_kib'].get(OWN_WAL)
        found.append(target('MiB in the archiver (%s)' % kind, memory_of and memory_of / 1024, 64,
                            form='%.1f'))
    if 'wal' in results['wal']:
        switch, late = (wal_values(results, what, OWN_WAL) for what in ('switch ms', 'switch p95 ms'))
        found.append(target('one switch: p95, times the median',
                            ratio(median(late) if late else None, median(switch) if switch else None), 2.0))
    return found


def s3_targets(results):
    def backup(key):
        return key, 'backup', {'phase': 's3'}

    def restore(key):
        return key, 'restore', {'phase': 's3'}

    found = []
    for ours, peer in ((OURS, PEER), ('pg_backupctl lz4:1', 'pgBackRest lz4:1')):
        found += [
            against('S3, backup: %s wall, times ours' % peer, results, backup(peer), backup(ours), 1.2, False),
            against('S3, restore: %s wall, times ours' % peer, results, restore(peer), restore(ours), 1.2,
                    False)]
    worker, leader = processes_of_ours(results, 's3')
    found.append(target('S3, MiB in a copy worker', worker and worker / 1024, 64 + 3 * 8, form='%.1f'))
    return found


def targets(results):
    def backup(key, field='wall'):
        return key, 'backup', {'field': field}

    def other(key, what):
        return key, what, {}

    limit_verify = other('limit zstd:1', 'verify: decompress')
    phases = {r['phase'] for r in results['records']}
    found = s3_targets(results) if 's3' in phases else []
    if not phases - {'s3'}:
        return found + wal_targets(results)
    found += [
        against('backup zstd:1: wall, times limit', results, backup(OURS), backup('limit zstd:1'),
                1.25, True),
        against('pgBackRest zst:1 wall, times ours', results, backup(PEER), backup(OURS), 1.25, False),
        against('stored size, times pgBackRest zst:1', results, backup(OURS, 'stored'),
                backup(PEER, 'stored'), 1.03, True),
        against('pgBackRest zst:3 wall, times ours at zstd:1', results, backup('pgBackRest zst:3'),
                backup(OURS), 1.5, False),
        against('pgBackRest zst:3 wall, times ours at zstd:3', results, backup('pgBackRest zst:3'),
                backup('pg_backupctl zstd:3'), 1.5, False),
        against('CPU seconds, times pgBackRest zst:1', results, backup(OURS, 'cpu'), backup(PEER, 'cpu'),
                0.85, True),
        against('wall, times pg_basebackup server-zstd:1,workers=2', results, backup(OURS),
                backup('pg_basebackup zstd:1'), 1.0, True),
        against('sealed backup: wall, times plain', results, backup(OURS + ' sealed'), backup(OURS), 1.1, True),
        against('sealed restore: wall, times plain', results, other(OURS + ' sealed', 'restore'),
                other(OURS, 'restore'), 1.1, True),
        against('pgBackRest restore wall, times ours', results, other(PEER, 'restore'),
                other(OURS, 'restore'), 1.2, False),
        against('client verify, times SHA-256 and decompression alone', results,
                other(OURS, 'verify: client'), limit_verify, 1.3, True),
        against('backup_verify(), times SHA-256 and decompression alone', results,
                other(OURS, 'verify: backup_verify'), limit_verify, 1.3, True),
    ]
    for phase in ('main', 'files'):
        worker, leader = processes_of_ours(results, phase)
        counts = values(results, 'limit zstd:1', field='files', phase=phase)
        bound = 64 + (counts[0] * 300 / 2.0 ** 20 if counts else 0)
        found.append(target('MiB in a copy worker (%s)' % phase, worker and worker / 1024, 64, form='%.1f'))
        found.append(target('MiB in the leader (%s)' % phase, leader and leader / 1024, bound, form='%.1f'))
    found.append(target('seconds that %d small files add' % results['facts']['small_files'],
                        added_seconds(results, OURS), 20, form='%.1f'))
    return found + wal_targets(results)


def targets_table(results):
    rows = []
    for t in results['targets']:
        rows.append([t['target'], show(t['figure'], t['form']),
                     ('<= ' if t['at_most'] else '>= ') + t['form'] % t['limit'],
                     ('%.2f-%.2f' % tuple(t['rounds'])) if t['rounds'] else '', t['state']])
    return table('Targets', ['', 'reached', 'wanted', 'rounds', ''], rows)


def text(results):
    facts = results['facts']
    parts = ['%s\n%s cores, %s, Linux %s, pgBackRest %s; %d rounds, medians (range); '
             'load average before: %.1f\n' % (
        facts['postgres'], facts['cores'], facts['processor'], facts['kernel'],
        facts['pgbackrest'].replace('pgBackRest ', ''), facts['rounds'], facts['load_before'])]
    if any(r['phase'] == 'main' for r in results['records']):
        parts += [backup_table(results), other_table(results, 'restore', 'Restore'),
                  other_table(results, 'verify:', 'Verification')]
    if any(r['phase'] == 'files' for r in results['records']):
        parts.append(files_table(results))
    if results['load']:
        parts.append(load_table(results))
    if any(r['phase'] == 's3' for r in results['records']):
        parts += [backup_table(results, 's3', 'Full backup to S3 over TLS'),
                  other_table(results, 'restore', 'Restore from S3', 's3'),
                  other_table(results, 'verify:', 'Verification on S3', 's3')]
    for kind, title in (('wal', 'Archiving'), ('s3wal', 'Archiving to S3 over TLS')):
        if kind in results['wal']:
            parts.append(wal_table(results, kind, title))
    parts.append(targets_table(results))
    if results['failures']:
        parts.append('Failures\n\n' + '\n'.join(results['failures']) + '\n')
    return '\n'.join(parts)
