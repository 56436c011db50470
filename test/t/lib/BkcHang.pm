# BkcHang.pm
#		Repositories that hang, as a network file system does whose server is
#		gone: a library is put before the server's own that holds calls up.
#
#	use BkcHang;
#	bkc_hang_start($node, $folder);		# starts the server; that repository can be made to hang
#	bkc_hang($folder);					# fsync() below it does not return
#	bkc_hang($folder, 'slow');			# making a file there is tried in vain, half a second each time
#	bkc_hang_pids($folder);				# processes that are held up by it
#	bkc_hang_end($folder);

package BkcHang;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(bkc_hang_start bkc_hang bkc_hang_pids bkc_hang_end);

my $source = <<'C';
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[PATH_MAX];

/* the server overwrites its environment */
__attribute__((constructor)) static void
begin(void)
{
	const char *name = getenv("BKC_HANG");

	snprintf(folder, sizeof(folder), "%s", name != NULL ? name : "");
}

static int
marked(const char *kind)
{
	char		path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s.%s", folder, kind);
	return access(path, F_OK) == 0;
}

/* Is that file or folder in the repository, and is the repository to be so? */
static int
concerned(int fd, const char *kind)
{
	char		link[64];
	char		path[PATH_MAX];
	ssize_t		len;

	if (folder[0] == '\0' || !marked(kind))
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	return len >= (ssize_t) strlen(folder) && memcmp(path, folder, strlen(folder)) == 0;
}

int
fsync(int fd)
{
	if (concerned(fd, "hang"))
	{
		char		path[PATH_MAX + 32];

		snprintf(path, sizeof(path), "%s.held.%d", folder, (int) getpid());
		close(open(path, O_WRONLY | O_CREAT, 0600));
		while (marked("hang"))
			usleep(20000);
		unlink(path);
	}
	return syscall(SYS_fsync, fd);
}

static int
make(int dir, const char *path, int flags, mode_t mode)
{
	if ((flags & O_CREAT) != 0 && concerned(dir, "slow"))
	{
		usleep(500000);
		errno = EINTR;
		return -1;
	}
	return syscall(SYS_openat, dir, path, flags, mode);
}

#define OPENAT(name) \
int \
name(int dir, const char *path, int flags, ...) \
{ \
	va_list		args; \
	mode_t		mode = 0; \
	va_start(args, flags); \
	if ((flags & (O_CREAT | O_TMPFILE)) != 0) \
		mode = va_arg(args, int); \
	va_end(args); \
	return make(dir, path, flags, mode); \
}

OPENAT(openat)
OPENAT(openat64)
C

sub library
{
	my ($node) = @_;
	my $base = $node->basedir . '/hang';

	return "$base.so" if -e "$base.so";
	append_to_file("$base.c", $source);
	system_or_bail(split(' ', $ENV{CC} // 'cc'), '-shared', '-fPIC', '-o', "$base.so", "$base.c");
	return "$base.so";
}

sub bkc_hang_start
{
	my ($node, $folder) = @_;
	local $ENV{LD_PRELOAD} = library($node);
	local $ENV{BKC_HANG} = $folder;

	$node->start;
	return;
}

sub bkc_hang
{
	my ($folder, $kind) = @_;

	$kind //= 'hang';
	append_to_file("$folder.$kind", '');
	return;
}

sub bkc_hang_pids
{
	my ($folder) = @_;

	return map { /\.held\.(\d+)$/ ? $1 : () } glob "$folder.held.*";
}

sub bkc_hang_end
{
	my ($folder) = @_;

	unlink "$folder.hang", "$folder.slow";
	return;
}

1;
