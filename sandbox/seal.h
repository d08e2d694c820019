/* The seal on the guest's system calls; see seal.c. */

/* From now on every system call is refused. */
void seal(void);

/* What was refused last, as the end of "an eval can't ..."; empty when nothing was. */
const char *last_refused(void);
