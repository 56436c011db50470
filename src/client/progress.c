/*
 * progress.c
 *		Long work on standard error: a bar on a terminal, a line every ten
 *		seconds elsewhere.
 */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#include "host.h"

#define BAR_WIDTH		30
#define BAR_EVERY_USEC	200000
#define LINE_EVERY_USEC 10000000

void
bkc_format_duration(int64_t usec, char *out, size_t outlen)
{
	int64_t		seconds = usec / 1000000;

	if (usec < 0)
		snprintf(out, outlen, "-");
	else if (seconds < 60)
		snprintf(out, outlen, "%" PRId64 ".%" PRId64 " s", seconds, usec / 100000 % 10);
	else if (seconds < 3600)
		snprintf(out, outlen, "%" PRId64 " min %" PRId64 " s", seconds / 60, seconds % 60);
	else
		snprintf(out, outlen, "%" PRId64 " h %" PRId64 " min", seconds / 3600, seconds / 60 % 60);
}

void
bkc_format_rate(uint64_t bytes, int64_t usec, char *out, size_t outlen)
{
	char		size[40];

	if (usec <= 0)
	{
		snprintf(out, outlen, "-");
		return;
	}
	bkc_format_size((uint64_t) ((double) bytes * 1e6 / (double) usec), size, sizeof(size));
	snprintf(out, outlen, "%s/s", size);
}

/* Both numbers in the unit that suits the total. */
static void
format_done(uint64_t done, uint64_t total, char *out, size_t outlen)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	size_t		unit = 0;
	uint64_t	scaled = total;

	while (scaled >= 10240 && unit + 1 < sizeof(units) / sizeof(units[0]))
	{
		scaled /= 1024;
		done /= 1024;
		unit++;
	}
	snprintf(out, outlen, "%" PRIu64 "/%" PRIu64 " %s", done, scaled, units[unit]);
}

void
bkc_progress_bar(uint64_t done, uint64_t total, int64_t usec, char *out, size_t outlen)
{
	char		bar[BAR_WIDTH + 1];
	char		amount[64];
	char		rate[48];
	char		left[48] = "";
	size_t		filled;

	if (done > total)
		done = total;
	filled = total == 0 ? BAR_WIDTH :
		(size_t) ((double) done / (double) total * BAR_WIDTH);
	for (size_t i = 0; i < BAR_WIDTH; i++)
		bar[i] = i + 1 < filled || (i < filled && filled == BAR_WIDTH) ? '=' :
			i + 1 == filled ? '>' : ' ';
	bar[BAR_WIDTH] = '\0';
	format_done(done, total, amount, sizeof(amount));
	bkc_format_rate(done, usec, rate, sizeof(rate));

	/* the first moments say nothing about the rest */
	if (done > 0 && usec > 500000)
	{
		int64_t		rest = (int64_t) ((double) usec * (double) (total - done) / (double) done);

		if (rest < 60000000)
			snprintf(left, sizeof(left), "  %" PRId64 " s left", (rest + 999999) / 1000000);
		else
		{
			char		text[40];

			bkc_format_duration(rest, text, sizeof(text));
			snprintf(left, sizeof(left), "  %s left", text);
		}
	}
	snprintf(out, outlen, "[%s] %s  %s%s", bar, amount, rate, left);
}

void
bkc_progress_begin(BkcProgress *progress, const char *verb, uint64_t total)
{
	memset(progress, 0, sizeof(*progress));
	progress->verb = verb;
	progress->total = total;
	progress->started = bkc_client_clock();
	progress->shown = progress->started;
	progress->terminal = isatty(STDERR_FILENO) == 1;
}

void
bkc_progress_show(BkcProgress *progress, uint64_t done)
{
	int64_t		now = bkc_client_clock();
	char		text[256];

	if (now - progress->shown < (progress->terminal ? BAR_EVERY_USEC : LINE_EVERY_USEC))
		return;
	progress->shown = now;
	if (progress->terminal)
	{
		bkc_progress_bar(done, progress->total, now - progress->started, text, sizeof(text));
		fprintf(stderr, "\r%s\033[K", text);
		progress->drawn = true;
	}
	else
	{
		char		rate[48];

		format_done(done, progress->total, text, sizeof(text));
		bkc_format_rate(done, now - progress->started, rate, sizeof(rate));
		fprintf(stderr, "%s %s, %s\n", progress->verb, text, rate);
	}
	fflush(stderr);
}

void
bkc_progress_end(BkcProgress *progress)
{
	if (!progress->drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	progress->drawn = false;
}
