#include "mailbox.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>

_Static_assert(sizeof(struct mailbox_page) < 128, "the distances in the program's code are a signed byte each");

struct mailbox *mailbox_new(struct mailbox **list) {
  struct mailbox *mailbox = calloc(1, sizeof *mailbox);
  if (!mailbox) return NULL;
  mailbox->id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  void *page = mailbox->id < 0 ? (void *)-1 : shmat(mailbox->id, NULL, 0);
  /* Linux lets a segment be attached that is to go: nothing is left behind, however we end. */
  if (mailbox->id >= 0) shmctl(mailbox->id, IPC_RMID, NULL);
  if (page == (void *)-1) {
    free(mailbox);
    return NULL;
  }
  mailbox->page = page;
  mailbox->next = *list;
  mailbox->at = list;
  if (*list) (*list)->at = &mailbox->next;
  *list = mailbox;
  return mailbox;
}

void mailbox_free(struct mailbox *mailbox) {
  if (!mailbox) return;
  mailbox_listen(mailbox, false);
  *mailbox->at = mailbox->next;
  if (mailbox->next) mailbox->next->at = mailbox->at;
  shmdt(mailbox->page);
  free(mailbox);
}

void mailbox_listen(struct mailbox *mailbox, bool listens) { atomic_store(&mailbox->page->listens, listens); }

bool mailbox_is_asked(const struct mailbox *mailbox) {
  return atomic_load_explicit(&mailbox->page->state, memory_order_acquire) == MAILBOX_ASKED;
}

bool mailbox_take(struct mailbox *mailbox) {
  uint32_t asked = MAILBOX_ASKED;
  mailbox->answer = MAILBOX_EMPTY;
  return atomic_compare_exchange_strong(&mailbox->page->state, &asked, MAILBOX_TAKEN);
}

static void answer(struct mailbox *mailbox, enum mailbox_state answer) {
  mailbox->answer = answer;
  atomic_store_explicit(&mailbox->page->state, answer, memory_order_release);
}

void mailbox_go_on(struct mailbox *mailbox) { answer(mailbox, MAILBOX_GO_ON); }

void mailbox_return(struct mailbox *mailbox, int64_t result) {
  mailbox->page->result = result;
  answer(mailbox, MAILBOX_RESULT);
}

bool mailbox_is_answered(const struct mailbox *mailbox) {
  return mailbox->answer != MAILBOX_EMPTY &&
         atomic_load_explicit(&mailbox->page->state, memory_order_acquire) == mailbox->answer;
}

void mailbox_clear(struct mailbox *mailbox) {
  mailbox->answer = MAILBOX_EMPTY;
  atomic_store_explicit(&mailbox->page->state, MAILBOX_EMPTY, memory_order_release);
}
