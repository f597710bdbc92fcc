/* The legal transitions of a tracee, as drawn in tracee.h. */
#include "check.h"
#include "tracee.h"

int main(void) {
  CHECK(tracee_can_become(TRACEE_NEW, TRACEE_STOPPED));
  CHECK(tracee_can_become(TRACEE_NEW, TRACEE_DEAD));
  CHECK(tracee_can_become(TRACEE_RUNNING, TRACEE_STOPPED));
  CHECK(tracee_can_become(TRACEE_STOPPED, TRACEE_RUNNING));
  CHECK(tracee_can_become(TRACEE_STOPPED, TRACEE_LISTENING));
  CHECK(tracee_can_become(TRACEE_LISTENING, TRACEE_STOPPED));
  CHECK(!tracee_can_become(TRACEE_RUNNING, TRACEE_LISTENING)); /* LISTEN needs a group-stop */
  CHECK(!tracee_can_become(TRACEE_LISTENING, TRACEE_NEW));
  for (int state = TRACEE_NEW; state <= TRACEE_DEAD; state++) {
    CHECK(!tracee_can_become(TRACEE_DEAD, (enum tracee_state)state));
    CHECK(tracee_state_name((enum tracee_state)state)[0] != '?');
  }
  return check_report("tracee states");
}
