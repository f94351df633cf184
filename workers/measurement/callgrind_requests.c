/* What a process asks of callgrind; without it, these do nothing. */
#include <valgrind/callgrind.h>

void start_instrumentation(void) { CALLGRIND_START_INSTRUMENTATION; }
void toggle_collecting(void) { CALLGRIND_TOGGLE_COLLECT; }
void dump_counts(void) { CALLGRIND_DUMP_STATS; }
