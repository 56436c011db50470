/*
 * settingnote.h
 *		Audit: settings that matter, and the data directory, as they were and as they are.
 */
#ifndef BKC_SERVER_SETTINGNOTE_H
#define BKC_SERVER_SETTINGNOTE_H

/* They may have changed: the launcher, at each reload. */
extern void bkc_settingnote_request(void);

/*
 * Compare them with what backup_event says, if that is due, and add what is different.  In a
 * leader, where the extension is installed.  Does not raise: what fails is due again.
 */
extern void bkc_settingnote(void);

#endif							/* BKC_SERVER_SETTINGNOTE_H */
