/*
 * test_client_auth.c
 *		pg_hba.conf and pg_ident.conf: what in them leads to other files, and
 *		that it leads to the same ones after a restore.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/client/conffile.c"
#include "../../src/client/authfile.c"
#include "../../src/client/keys.c"
#include "../../src/client/options.c"
#include "../../src/client/restore_config.c"
#include "../../src/client/restore_confpath.c"
#include "../../src/client/restore_confmake.c"
#include "../../src/client/restore_confwalk.c"
#include "../../src/client/restore_confauth.c"
#include "../../src/client/restore_extra.c"
#include "../../src/client/restore_goal.c"
#include "test_client_cluster.h"

/* ---- grammar ---- */

typedef struct Case
{
	const char *line;
	bool		includes;
	const char *found;			/* "@name", "=include", "/include_dir", parted by | */
} Case;

static const Case cases[] = {
	{"", false, ""},
	{"local all all trust", true, ""},
	{"local all @users trust", false, "@users"},
	{"local all @users,bert,@more trust", false, "@users|@more"},
	{"local all ,@users , @more trust", false, "@users|@more"},
	{"@a@b", false, "@a@b"},
	{"@", false, ""},
	{"@ users", false, ""},
	{"@\"\"", false, ""},
	{"\"@users\"", false, ""},
	{"\"\"@users", false, ""},
	{"x@users", false, ""},
	{"@\"data bases\"", false, "@data bases"},
	{"@\"it\"\"s\"", false, "@it\"s"},
	{"@da\"ta ba\"ses", false, "@data bases"},
	{"@\"a,b#c\"", false, "@a,b#c"},
	{"@\"open ended", false, "@open ended"},
	{"@users#@more", false, "@users"},
	{"# @users", false, ""},
	{"\t@users\r", false, "@users"},
	{"include x.conf", false, ""},
	{"include x.conf", true, "=x.conf"},
	{"\"include\" \"x y.conf\" # so", true, "=x y.conf"},
	{"include_if_exists @x", true, "=@x"},
	{"include_dir d", true, "/d"},
	{"include", true, ""},
	{"include,x", true, ""},
	{"include x @y", true, "@y"},
	{"includes @y", true, "@y"},
	{"Include @y", true, "@y"},
};

static void
describe(const BkcAuthReferences *references, char *out, size_t outlen)
{
	size_t		len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < references->count; i++)
	{
		const BkcAuthReference *reference = &references->items[i];

		len += (size_t) snprintf(out + len, outlen - len, "%s%s%s", i > 0 ? "|" : "",
								 reference->at ? "@" : reference->folder ? "/" : "=",
								 bkc_buffer_str(&reference->name));
	}
}

static void
test_references(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		BkcAuthLine line = {0};
		BkcAuthReferences references = {0};
		BkcError	err;
		char		found[128];

		assert_true(bkc_buffer_append_str(&line.text, cases[i].line, &err));
		assert_true(bkc_auth_references(&line, cases[i].includes, &references, &err));
		describe(&references, found, sizeof(found));
		assert_string_equal(found, cases[i].found);
		bkc_auth_references_free(&references);
		bkc_buffer_free(&line.text);
	}
}

/* What is put reads back. */
static void
test_put(void **state)
{
	static const char *const names[] = {"x", "a b", "a\"b", "\"", "a,#\\"};

	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++)
	{
		BkcAuthReference reference = {.at = i % 2 == 0};
		BkcAuthReferences references = {0};
		BkcAuthLine line = {0};
		BkcError	err;

		assert_true(bkc_buffer_append_str(&line.text, reference.at ? "" : "include ", &err));
		assert_true(bkc_auth_put_reference(&line.text, &reference, names[i / 2], &err));
		assert_true(bkc_auth_references(&line, true, &references, &err));
		assert_int_equal(references.count, 1);
		assert_string_equal(bkc_buffer_str(&references.items[0].name), names[i / 2]);
		assert_int_equal(references.items[0].at, reference.at);
		bkc_auth_references_free(&references);
		bkc_buffer_free(&line.text);
	}
}

static void
test_lines(void **state)
{
	static const char text[] = "a\n\nb \\\n c\\\r\n\\\nd\\\n\ne\\";
	static const char *const joined[] = {"a", "", "b  c", "d", "e"};
	static const char *const raw[] = {"a", "", "b \\\n c\\\r\n\\\nd\\\n", "", "e\\"};
	BkcAuthLines lines;
	BkcError	err;
	bool		end;

	bkc_auth_lines_begin(&lines, text, sizeof(text) - 1);
	assert_true(bkc_auth_lines_next(&lines, &end, &err) && !end);
	assert_string_equal(bkc_buffer_str(&lines.line.text), joined[0]);
	assert_true(bkc_auth_lines_next(&lines, &end, &err) && !end);
	assert_string_equal(bkc_buffer_str(&lines.line.text), joined[1]);
	assert_int_equal(lines.line.raw_len, 0);
	assert_true(bkc_auth_lines_next(&lines, &end, &err) && !end);
	assert_string_equal(bkc_buffer_str(&lines.line.text), "b  cd");
	assert_int_equal(lines.line.raw_len, strlen(raw[2]));
	assert_memory_equal(lines.line.raw, raw[2], strlen(raw[2]));
	assert_true(bkc_auth_lines_next(&lines, &end, &err) && !end);
	assert_string_equal(bkc_buffer_str(&lines.line.text), joined[4]);
	assert_int_equal(lines.line.raw_len, 2);
	assert_true(bkc_auth_lines_next(&lines, &end, &err) && end);
	bkc_auth_lines_free(&lines);
}

/* ---- after a restore ---- */

static void
assert_text(const Cluster *c, const char *rel, const char *expected)
{
	char	   *text = cluster_get(c, rel);

	assert_string_equal(text, expected);
	free(text);
}

/* The file in effect lay elsewhere, and so did what it refers to. */
static void
test_outside(void **state)
{
	Cluster    *c = *state;

	c->backup.header.hba_file = "/etc/pg/hba.conf";
	cluster_config(c, "/etc/pg/hba.conf",
				   "# @users\n"
				   "local all \\\n\t@users trust\n"
				   "local @\"data bases\",postgres,@/etc/pg/../more all trust # x\n"
				   "local all @/srv/live/inside trust\n"
				   "local all @/srv/live/gone,@gone,@/etc/gone trust \\\n\n"
				   "include x.conf");
	cluster_config(c, "/etc/pg/users", "anna\n@names\n@/etc/more,bert\n");
	cluster_config(c, "/etc/pg/names", "carl");
	cluster_config(c, "/etc/pg/data bases", "second\n");
	cluster_config(c, "/etc/more", "@users @/etc/pg/users\n@/srv/live/inside\n");
	cluster_put(c, "inside", "dora\n@other\n@/srv/live/other\n@/etc/more\n");
	cluster_put(c, "other", "emil\n");
	cluster_put(c, "pg_hba.conf", "local all all trust\n");
	cluster_put(c, "pg_ident.conf", "map \\\n @/srv/live/other anna\n");
	run_config(c);
	assert_text(c, "pg_hba.conf",
				"# @users\n"
				"local all \t@\"" BKC_CONFIG_DIR "/etc/pg/users\" trust\n"
				"local @\"" BKC_CONFIG_DIR "/etc/pg/data bases\",postgres,@\"" BKC_CONFIG_DIR "/etc/more\" all trust # x\n"
				"local all @\"inside\" trust\n"
				"local all @/srv/live/gone,@gone,@/etc/gone trust \\\n\n"
				"include x.conf\n");
	assert_text(c, "pg_hba.conf.replaced", "local all all trust\n");
	assert_text(c, BKC_CONFIG_DIR "/etc/pg/users", "anna\n@names\n@\"../more\",bert\n");
	assert_text(c, BKC_CONFIG_DIR "/etc/pg/names", "carl");
	assert_text(c, BKC_CONFIG_DIR "/etc/more", "@users @\"pg/users\"\n@\"../../inside\"\n");
	assert_text(c, "inside", "dora\n@other\n@\"other\"\n@\"" BKC_CONFIG_DIR "/etc/more\"\n");
	assert_text(c, "pg_ident.conf", "map  @\"other\" anna\n");
}

/* Nothing to change, nothing changed. */
static void
test_inside(void **state)
{
	Cluster    *c = *state;
	static const char *const hba = "local all @users,@gone trust \\\n\n# end";
	size_t		extras;

	cluster_put(c, "pg_hba.conf", hba);
	cluster_put(c, "users", "@pg_hba.conf");
	cluster_put(c, "pg_ident.conf", "");
	extras = c->r.nextras;
	run_config(c);
	assert_text(c, "pg_hba.conf", hba);
	assert_text(c, "users", "@pg_hba.conf");
	assert_false(bkc_restore_exists(&c->r, "pg_hba.conf.replaced"));
	assert_int_equal(c->r.nextras, extras + 2); /* postgresql.conf, postgresql.auto.conf */
}

/* Since 16. */
static void
test_includes(void **state)
{
	Cluster    *c = *state;

	c->backup.header.pg_version_num = 160000;
	c->backup.header.hba_file = "/srv/live/auth/hba.conf";
	cluster_put(c, "auth/hba.conf",
				"include more.conf\ninclude_if_exists /etc/pg/x.conf\ninclude_dir /etc/pg/d\n"
				"include_dir none\n");
	cluster_put(c, "auth/more.conf", "local all @/srv/live/auth/users trust\n");
	cluster_put(c, "auth/users", "anna\n");
	cluster_config(c, "/etc/pg/x.conf", "include_dir d\n");
	cluster_config(c, "/etc/pg/d/1.conf", "include /etc/pg/d/2.conf\n");
	cluster_config(c, "/etc/pg/d/2.conf", "include /etc/pg/d/1.conf\n");
	run_config(c);
	assert_text(c, "pg_hba.conf",
				"include \"auth/more.conf\"\n"
				"include_if_exists \"" BKC_CONFIG_DIR "/etc/pg/x.conf\"\n"
				"include_dir \"" BKC_CONFIG_DIR "/etc/pg/d\"\n"
				"include_dir none\n");
	assert_text(c, "auth/more.conf", "local all @\"users\" trust\n");
	assert_text(c, BKC_CONFIG_DIR "/etc/pg/x.conf", "include_dir d\n");
	assert_text(c, BKC_CONFIG_DIR "/etc/pg/d/1.conf", "include \"2.conf\"\n");
	assert_text(c, BKC_CONFIG_DIR "/etc/pg/d/2.conf", "include \"1.conf\"\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_lines),
		CLUSTER_TEST(test_outside),
		CLUSTER_TEST(test_inside),
		CLUSTER_TEST(test_includes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
