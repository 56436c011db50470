"""Runs a command and says what it cost: wall time, CPU seconds, memory.

CPU seconds are those of the client and everything it waited for (wait4), plus what the processes of
a server used meanwhile: the sum over the postmaster's tree of own time and time of children that
have been waited for.  A worker that came and went is thus in its parent's figure.

Memory is sampled only where asked for (it costs CPU time, so those runs are not timed): the private
(anonymous) pages of every process of the client and of every server process born meanwhile, which
leaves out shared_buffers, and the proportional share (PSS), which does not.
"""

import os
import re
import subprocess
import threading
import time

TICK = os.sysconf('SC_CLK_TCK')
SAMPLE_SECONDS = 0.05


class CommandFailed(Exception):
    pass


def process_table():
    """pid -> (parent, CPU seconds with those of waited-for children)."""
    table = {}
    for name in os.listdir('/proc'):
        if not name.isdigit():
            continue
        try:
            with open('/proc/%s/stat' % name) as f:
                fields = f.read().rpartition(')')[2].split()
        except OSError:
            continue
        table[int(name)] = (int(fields[1]), sum(int(x) for x in fields[11:15]) / TICK)
    return table


def tree(root, table):
    children = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found, todo = set(), [root]
    while todo:
        pid = todo.pop()
        if pid in table and pid not in found:
            found.add(pid)
            todo.extend(children.get(pid, []))
    return found


def tree_cpu(root):
    table = process_table()
    return sum(table[pid][1] for pid in tree(root, table))


def process_name(pid):
    """A name without what differs from run to run."""
    with open('/proc/%d/cmdline' % pid, 'rb') as f:
        words = f.read().replace(b'\0', b' ').decode(errors='replace').split()
    if not words:
        return '?'
    if words[0] == 'postgres:':
        return re.sub(r'\d+', 'N', ' '.join(words[1:6]))
    name = os.path.basename(words[0])
    return name + ' ' + words[-1] if name == 'pgbackrest' else name


def process_memory(pid):
    """(private, proportional) in KiB."""
    anonymous = pss = 0
    with open('/proc/%d/smaps_rollup' % pid) as f:
        for line in f:
            if line.startswith('Anonymous:'):
                anonymous = int(line.split()[1])
            elif line.startswith('Pss:'):
                pss = int(line.split()[1])
    return anonymous, pss


class MemorySampler(threading.Thread):
    def __init__(self, client, server):
        super().__init__(daemon=True)
        self.client = client
        self.server = server
        self.before = tree(server, process_table()) if server else set()
        self.ended = threading.Event()
        self.processes = {}         # pid -> [name, private, pss]
        self.private = 0            # of all at once
        self.pss = 0

    def sample(self):
        table = process_table()
        pids = tree(self.client, table)
        if self.server:
            pids |= tree(self.server, table) - self.before
        private = pss = 0
        for pid in pids:
            try:
                a, p = process_memory(pid)
                entry = self.processes.setdefault(pid, ['?', 0, 0])
                entry[0] = process_name(pid)
            except OSError:
                continue
            entry[1] = max(entry[1], a)
            entry[2] = max(entry[2], p)
            private += a
            pss += p
        self.private = max(self.private, private)
        self.pss = max(self.pss, pss)

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            self.sample()

    def result(self):
        self.ended.set()
        self.join()
        names = {}
        for name, private, pss in self.processes.values():
            entry = names.setdefault(name, {'count': 0, 'private_kib': 0, 'pss_kib': 0})
            entry['count'] += 1
            entry['private_kib'] = max(entry['private_kib'], private)
            entry['pss_kib'] = max(entry['pss_kib'], pss)
        return {'private_kib': self.private, 'pss_kib': self.pss, 'processes': names}


def run(argv, log, server=None, memory=False, cwd=None):
    """Run argv; a dict of figures, and its output under 'output'."""
    cpu_before = tree_cpu(server) if server else 0.0
    with open(log, 'ab') as out, open(log + '.last', 'w+b') as last:
        out.write(('$ ' + ' '.join(argv) + '\n').encode())
        start = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=last,
                                   stderr=subprocess.STDOUT, cwd=cwd)
        sampler = MemorySampler(process.pid, server) if memory else None
        if sampler:
            sampler.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            raise
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        last.seek(0)
        output = last.read()
        out.write(output)
        out.write(b'-- exit status %d, %.2f s\n' % (process.returncode, wall))
    if process.returncode != 0:
        raise CommandFailed('%s: exit status %d: %s' % (
            ' '.join(argv), process.returncode, output.decode(errors='replace')[-2000:]))

    figures = {'wall': wall, 'client_cpu': usage.ru_utime + usage.ru_stime, 'server_cpu': 0.0,
               'output': output.decode(errors='replace')}
    if server:
        # The server's side of the connection may end a moment later.
        time.sleep(0.2)
        figures['server_cpu'] = max(0.0, tree_cpu(server) - cpu_before)
    figures['cpu'] = figures['client_cpu'] + figures['server_cpu']
    if sampler:
        figures['memory'] = sampler.result()
    return figures
