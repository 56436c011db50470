/*
 * limit.c
 *		What the hardware and the libraries alone can do: the bound that a
 *		backup and a verification are held against.
 *
 *	limit [compress] [-c none|lz4|zstd] [-l LEVEL] [-j N] [-x NAME]... DIR...
 *		N processes read the files under DIR in 1 MiB frames, largest file
 *		first, hash each whole file with SHA-256, compress each frame and
 *		throw the result away.
 *
 *	limit decompress -s SCRATCH [the same options] DIR...
 *		First the same, but the frames are kept in one scratch file a process
 *		below SCRATCH (not timed); then N processes read those, decompress,
 *		hash and compare (timed).
 *
 * Nothing is listed, packed, copied through shared memory, synced or talked
 * about with anybody while the clock runs, so no backup with the same codec,
 * level, frame size and hash can be faster on the same cores.  Work is
 * handed out as the project does it: a sorted list and one atomic cursor.
 * The result is one JSON object on standard output.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lz4.h>
#include <lz4hc.h>
#include <openssl/evp.h>
#include <zstd.h>

#define FRAME_SIZE	((size_t) 1024 * 1024)
#define MAX_JOBS	64
#define MAX_SKIP	16
#define HASH_SIZE	32

/* Where a kept frame lies; written by one process, read after all have ended. */
typedef struct Frame
{
	uint64_t	offset;
	uint32_t	stored_len;		/* equal to plain_len: stored plain */
	uint32_t	plain_len;
} Frame;

typedef struct File
{
	char	   *path;
	uint64_t	size;			/* at the time of listing */
	size_t		first_frame;
} File;

/* What the first pass tells the second about a file. */
typedef struct Outcome
{
	uint32_t	owner;			/* the process whose scratch file holds it */
	uint32_t	nframes;
	uint8_t		hash[HASH_SIZE];
} Outcome;

typedef struct Shared
{
	atomic_size_t cursor;
	atomic_uint_fast64_t plain;
	atomic_uint_fast64_t stored;
} Shared;

typedef struct Job
{
	File	   *files;
	size_t		nfiles;
	size_t		capacity;
	size_t		nframes;
	const char *skip[MAX_SKIP];
	int			nskip;
	int			jobs;
	int			level;
	const struct Codec *codec;
	const char *scratch;		/* NULL: throw the frames away */
	Shared	   *shared;
	Outcome    *outcomes;		/* shared memory, one a file */
	Frame	   *frames;			/* shared memory, one a frame */
} Job;

/* Everything one process needs, set up once. */
typedef struct Worker
{
	Job		   *job;
	int			number;
	int			scratch_fd;
	uint64_t	scratch_end;
	uint8_t    *plain;
	uint8_t    *packed;
	size_t		packed_size;
	void	   *state;			/* the codec's */
	EVP_MD	   *sha256;
	EVP_MD_CTX *digest;
} Worker;

/* compress answers 0 when the frame did not shrink, expand the plain length. */
typedef struct Codec
{
	const char *name;
	void	   *(*open) (int level);
	size_t		(*bound) (size_t len);
	size_t		(*compress) (Worker *w, size_t len);
	size_t		(*expand) (Worker *w, size_t len);
} Codec;

typedef struct Measure
{
	double		wall;
	double		user;
	double		system;
	long		max_rss_kib;
} Measure;

static void
die(const char *what, const char *subject)
{
	fprintf(stderr, "limit: %s \"%s\": %s\n", what, subject, strerror(errno));
	exit(1);
}

static void
complain(const char *message)
{
	fprintf(stderr, "limit: %s\n", message);
	exit(1);
}

static void *
must(void *p)
{
	if (p == NULL)
		complain("out of memory");
	return p;
}

/* ---- codecs ---- */

static void *
open_nothing(int level)
{
	return must(malloc(1));
}

static size_t
bound_nothing(size_t len)
{
	return len;
}

static size_t
pass_nothing(Worker *w, size_t len)
{
	return 0;
}

typedef struct ZstdState
{
	ZSTD_CCtx  *cctx;
	ZSTD_DCtx  *dctx;
} ZstdState;

static void *
open_zstd(int level)
{
	ZstdState  *state = must(calloc(1, sizeof(ZstdState)));

	state->cctx = must(ZSTD_createCCtx());
	state->dctx = must(ZSTD_createDCtx());
	if (ZSTD_isError(ZSTD_CCtx_setParameter(state->cctx, ZSTD_c_compressionLevel, level)))
		complain("zstd refuses the level");
	return state;
}

static size_t
compress_zstd(Worker *w, size_t len)
{
	ZstdState  *state = w->state;
	size_t		n = ZSTD_compress2(state->cctx, w->packed, w->packed_size, w->plain, len);

	if (ZSTD_isError(n))
		complain("zstd could not compress");
	return n < len ? n : 0;
}

static size_t
expand_zstd(Worker *w, size_t len)
{
	ZstdState  *state = w->state;
	size_t		n = ZSTD_decompressDCtx(state->dctx, w->plain, FRAME_SIZE, w->packed, len);

	if (ZSTD_isError(n))
		complain("zstd could not decompress");
	return n;
}

typedef struct Lz4State
{
	int			level;
	void	   *fast;
	void	   *hc;
} Lz4State;

static void *
open_lz4(int level)
{
	Lz4State   *state = must(calloc(1, sizeof(Lz4State)));

	state->level = level;
	state->fast = must(malloc((size_t) LZ4_sizeofState()));
	state->hc = must(malloc((size_t) LZ4_sizeofStateHC()));
	return state;
}

static size_t
bound_lz4(size_t len)
{
	return (size_t) LZ4_compressBound((int) len);
}

static size_t
compress_lz4(Worker *w, size_t len)
{
	Lz4State   *state = w->state;
	int			n;

	if (state->level <= 1)
		n = LZ4_compress_fast_extState(state->fast, (char *) w->plain, (char *) w->packed,
									   (int) len, (int) w->packed_size, 1);
	else
		n = LZ4_compress_HC_extStateHC(state->hc, (char *) w->plain, (char *) w->packed,
									   (int) len, (int) w->packed_size, state->level);
	if (n <= 0)
		complain("lz4 could not compress");
	return (size_t) n < len ? (size_t) n : 0;
}

static size_t
expand_lz4(Worker *w, size_t len)
{
	int			n = LZ4_decompress_safe((char *) w->packed, (char *) w->plain, (int) len,
										(int) FRAME_SIZE);

	if (n < 0)
		complain("lz4 could not decompress");
	return (size_t) n;
}

static const Codec codecs[] = {
	{"none", open_nothing, bound_nothing, pass_nothing, pass_nothing},
	{"zstd", open_zstd, ZSTD_compressBound, compress_zstd, expand_zstd},
	{"lz4", open_lz4, bound_lz4, compress_lz4, expand_lz4},
};

static const Codec *
find_codec(const char *name)
{
	size_t		i;

	for (i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
	{
		if (strcmp(codecs[i].name, name) == 0)
			return &codecs[i];
	}
	complain("unknown codec; there are none, zstd and lz4");
	return NULL;
}

/* ---- the list of files ---- */

static bool
skipped(const Job *job, const char *name)
{
	int			i;

	for (i = 0; i < job->nskip; i++)
	{
		if (strcmp(job->skip[i], name) == 0)
			return true;
	}
	return false;
}

static void
add_file(Job *job, char *path, uint64_t size)
{
	if (job->nfiles == job->capacity)
	{
		job->capacity = job->capacity == 0 ? 1024 : job->capacity * 2;
		job->files = must(realloc(job->files, job->capacity * sizeof(File)));
	}
	job->files[job->nfiles].path = path;
	job->files[job->nfiles].size = size;
	job->nfiles++;
}

/* Symbolic links are not followed: name a tablespace as a DIR of its own. */
static void
list_folder(Job *job, const char *folder)
{
	DIR		   *dir = opendir(folder);
	struct dirent *entry;

	if (dir == NULL)
		die("could not open folder", folder);
	while ((entry = readdir(dir)) != NULL)
	{
		struct stat st;
		char	   *path;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			skipped(job, entry->d_name))
			continue;
		if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
			complain("out of memory");
		if (lstat(path, &st) != 0)
			st.st_mode = 0;		/* gone since it was listed */
		if (S_ISREG(st.st_mode))
			add_file(job, path, (uint64_t) st.st_size);
		else
		{
			if (S_ISDIR(st.st_mode))
				list_folder(job, path);
			free(path);
		}
	}
	closedir(dir);
}

static int
by_size_descending(const void *a, const void *b)
{
	const File *x = a;
	const File *y = b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	return strcmp(x->path, y->path);
}

static void
sort_files(Job *job)
{
	size_t		i;

	qsort(job->files, job->nfiles, sizeof(File), by_size_descending);
	for (i = 0; i < job->nfiles; i++)
	{
		job->files[i].first_frame = job->nframes;
		job->nframes += (size_t) ((job->files[i].size + FRAME_SIZE - 1) / FRAME_SIZE);
	}
}

/* ---- one process ---- */

static void
open_scratch(Worker *w, int number, int flags)
{
	char	   *path;

	if (asprintf(&path, "%s/limit-%d.scratch", w->job->scratch, number) < 0)
		complain("out of memory");
	w->scratch_fd = open(path, flags, 0600);
	if (w->scratch_fd < 0)
		die("could not open", path);
	free(path);
}

static void
worker_open(Worker *w, Job *job, int number)
{
	memset(w, 0, sizeof(*w));
	w->job = job;
	w->number = number;
	w->scratch_fd = -1;
	w->plain = must(malloc(FRAME_SIZE));
	w->packed_size = job->codec->bound(FRAME_SIZE);
	w->packed = must(malloc(w->packed_size));
	w->state = job->codec->open(job->level);
	w->sha256 = must(EVP_MD_fetch(NULL, "SHA256", NULL));
	w->digest = must(EVP_MD_CTX_new());
}

static size_t
read_full(int fd, uint8_t *buf, size_t len, uint64_t offset, const char *path)
{
	size_t		done = 0;

	while (done < len)
	{
		ssize_t		n = pread(fd, buf + done, len - done, (off_t) (offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("could not read", path);
		if (n == 0)
			break;
		done += (size_t) n;
	}
	return done;
}

static void
keep_frame(Worker *w, Frame *frame, const uint8_t *data, size_t stored_len, size_t plain_len)
{
	size_t		done = 0;

	frame->offset = w->scratch_end;
	frame->stored_len = (uint32_t) stored_len;
	frame->plain_len = (uint32_t) plain_len;
	while (done < stored_len)
	{
		ssize_t		n = write(w->scratch_fd, data + done, stored_len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("could not write below", w->job->scratch);
		done += (size_t) n;
	}
	w->scratch_end += stored_len;
}

static void
compress_file(Worker *w, size_t index)
{
	File	   *file = &w->job->files[index];
	Outcome    *outcome = &w->job->outcomes[index];
	uint64_t	offset = 0;
	uint64_t	stored = 0;
	int			fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	outcome->owner = (uint32_t) w->number;
	if (fd < 0 && errno != ENOENT)
		die("could not open", file->path);
	EVP_DigestInit_ex2(w->digest, w->sha256, NULL);
	while (fd >= 0 && offset < file->size)
	{
		size_t		want = FRAME_SIZE;
		size_t		len;
		size_t		packed_len;

		if (file->size - offset < want)
			want = (size_t) (file->size - offset);
		len = read_full(fd, w->plain, want, offset, file->path);
		if (len == 0)
			break;				/* it was cut since it was listed */
		EVP_DigestUpdate(w->digest, w->plain, len);
		packed_len = w->job->codec->compress(w, len);
		if (w->scratch_fd >= 0)
			keep_frame(w, &w->job->frames[file->first_frame + outcome->nframes],
					   packed_len == 0 ? w->plain : w->packed, packed_len == 0 ? len : packed_len,
					   len);
		outcome->nframes++;
		offset += len;
		stored += packed_len == 0 ? len : packed_len;
		if (len < want)
			break;
	}
	EVP_DigestFinal_ex(w->digest, outcome->hash, NULL);
	if (fd >= 0)
		close(fd);
	atomic_fetch_add(&w->job->shared->plain, offset);
	atomic_fetch_add(&w->job->shared->stored, stored);
}

static void
compress_all(Worker *w)
{
	size_t		index;

	if (w->job->scratch != NULL)
		open_scratch(w, w->number, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
	while ((index = atomic_fetch_add(&w->job->shared->cursor, 1)) < w->job->nfiles)
		compress_file(w, index);

	/* Write-back of the scratch files must not run beside the second pass. */
	if (w->scratch_fd >= 0 && fdatasync(w->scratch_fd) != 0)
		die("could not sync below", w->job->scratch);
}

static void
expand_file(Worker *w, const int *scratch, size_t index)
{
	File	   *file = &w->job->files[index];
	Outcome    *outcome = &w->job->outcomes[index];
	uint8_t		hash[HASH_SIZE];
	uint32_t	i;

	EVP_DigestInit_ex2(w->digest, w->sha256, NULL);
	for (i = 0; i < outcome->nframes; i++)
	{
		Frame	   *frame = &w->job->frames[file->first_frame + i];
		bool		plain = frame->stored_len == frame->plain_len;
		uint8_t    *to = plain ? w->plain : w->packed;

		if (read_full(scratch[outcome->owner], to, frame->stored_len, frame->offset,
					  w->job->scratch) != frame->stored_len)
			complain("a scratch file is too short");
		if (!plain && w->job->codec->expand(w, frame->stored_len) != frame->plain_len)
			complain("a frame has another length than before");
		EVP_DigestUpdate(w->digest, w->plain, frame->plain_len);
		atomic_fetch_add(&w->job->shared->plain, frame->plain_len);
		atomic_fetch_add(&w->job->shared->stored, frame->stored_len);
	}
	EVP_DigestFinal_ex(w->digest, hash, NULL);
	if (memcmp(hash, outcome->hash, HASH_SIZE) != 0)
		complain("a file has another hash than before");
}

static void
expand_all(Worker *w)
{
	int			scratch[MAX_JOBS];
	size_t		index;
	int			i;

	for (i = 0; i < w->job->jobs; i++)
	{
		open_scratch(w, i, O_RDONLY | O_CLOEXEC);
		scratch[i] = w->scratch_fd;
	}
	while ((index = atomic_fetch_add(&w->job->shared->cursor, 1)) < w->job->nfiles)
		expand_file(w, scratch, index);
}

/* ---- all processes ---- */

static double
seconds(struct timeval t)
{
	return (double) t.tv_sec + (double) t.tv_usec / 1e6;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void
run_workers(Job *job, void (*work) (Worker *w), Measure *m)
{
	double		start = now();
	int			i;

	memset(m, 0, sizeof(*m));
	atomic_store(&job->shared->cursor, 0);
	atomic_store(&job->shared->plain, 0);
	atomic_store(&job->shared->stored, 0);
	for (i = 0; i < job->jobs; i++)
	{
		pid_t		pid = fork();

		if (pid < 0)
			complain("could not fork");
		if (pid == 0)
		{
			Worker		w;

			worker_open(&w, job, i);
			work(&w);
			_exit(0);
		}
	}
	for (i = 0; i < job->jobs; i++)
	{
		struct rusage usage;
		int			status;

		if (wait4(-1, &status, 0, &usage) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			complain("a process failed");
		m->user += seconds(usage.ru_utime);
		m->system += seconds(usage.ru_stime);
		if (usage.ru_maxrss > m->max_rss_kib)
			m->max_rss_kib = usage.ru_maxrss;
	}
	m->wall = now() - start;
}

static void *
share(size_t size)
{
	void	   *p = mmap(NULL, size == 0 ? 1 : size, PROT_READ | PROT_WRITE,
						 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? must(NULL) : p;
}

static void
remove_scratch(const Job *job)
{
	int			i;

	for (i = 0; i < job->jobs; i++)
	{
		char	   *path;

		if (asprintf(&path, "%s/limit-%d.scratch", job->scratch, i) < 0)
			complain("out of memory");
		unlink(path);
		free(path);
	}
}

static void
print_result(const Job *job, const char *mode, const Measure *m)
{
	unsigned long long plain = atomic_load(&job->shared->plain);
	unsigned long long stored = atomic_load(&job->shared->stored);

	printf("{\"mode\": \"%s\", \"codec\": \"%s\", \"level\": %d, \"jobs\": %d, \"files\": %zu, "
		   "\"bytes\": %llu, \"stored\": %llu, \"wall\": %.3f, \"user\": %.3f, \"system\": %.3f, "
		   "\"cpu\": %.3f, \"max_rss_kib\": %ld}\n",
		   mode, job->codec->name, job->level, job->jobs, job->nfiles, plain, stored, m->wall,
		   m->user, m->system, m->user + m->system, m->max_rss_kib);
}

static int
number(const char *text, int min, int max, const char *message)
{
	char	   *end;
	long		value = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < min || value > max)
		complain(message);
	return (int) value;
}

static void
usage(void)
{
	complain("usage: limit [compress | decompress -s SCRATCH] [-c none|lz4|zstd] [-l LEVEL] "
			 "[-j JOBS] [-x NAME]... DIR...");
}

static bool
parse_options(Job *job, int argc, char **argv)
{
	bool		decompress = argc > 1 && strcmp(argv[1], "decompress") == 0;
	int			c;

	job->codec = find_codec("zstd");
	job->level = 1;
	job->jobs = 2;
	optind = decompress || (argc > 1 && strcmp(argv[1], "compress") == 0) ? 2 : 1;
	while ((c = getopt(argc, argv, "c:l:j:x:s:")) != -1)
	{
		if (c == 'c')
			job->codec = find_codec(optarg);
		else if (c == 'l')
			job->level = number(optarg, 0, 22, "the level is a number from 0 to 22");
		else if (c == 'j')
			job->jobs = number(optarg, 1, MAX_JOBS, "the number of jobs is from 1 to 64");
		else if (c == 'x' && job->nskip < MAX_SKIP)
			job->skip[job->nskip++] = optarg;
		else if (c == 's')
			job->scratch = optarg;
		else
			usage();
	}
	if (optind >= argc || decompress != (job->scratch != NULL))
		usage();
	return decompress;
}

int
main(int argc, char **argv)
{
	Job			job;
	Measure		measure;
	bool		decompress;

	memset(&job, 0, sizeof(job));
	decompress = parse_options(&job, argc, argv);
	for (; optind < argc; optind++)
		list_folder(&job, argv[optind]);
	sort_files(&job);
	job.shared = share(sizeof(Shared));
	job.outcomes = share(job.nfiles * sizeof(Outcome));
	job.frames = share(job.nframes * sizeof(Frame));

	run_workers(&job, compress_all, &measure);
	if (decompress)
	{
		run_workers(&job, expand_all, &measure);
		remove_scratch(&job);
	}
	print_result(&job, decompress ? "decompress" : "compress", &measure);
	return 0;
}
