--- Sentences of System V and POSIX inter-process communication; the grammar is in sentences.lua.

return { category = "ipc", rows = {
  shmget = "(get|got) {size:size} of shared memory[ -> segment {ret:number}]",
  shmat = "(map|mapped) the shared memory segment {shmid:number}[ at {ret:address}]",
  shmdt = "(unmap|unmapped) shared memory", shmctl = "(control|controlled) the shared memory segment {shmid:number}",
  semget = "(get|got) {nsems:number} semaphores[ -> set {ret:number}]",
  semop = "(use|used) the semaphores of set {semid:number}",
  semtimedop = "(use|used) the semaphores of set {semid:number}",
  semctl = "(control|controlled) the semaphores of set {semid:number}",
  msgget = "(get|got) a message queue[ -> queue {ret:number}]",
  msgsnd = "(send|sent) {msgsz:size} to message queue {msqid:number}",
  msgrcv = "(receive|received) [{ret:size} ]from message queue {msqid:number}",
  msgctl = "(control|controlled) message queue {msqid:number}",
  mq_open = "(open|opened) the message queue {name:raw}[ -> {ret}]",
  mq_unlink = "(delete|deleted) the message queue {name:raw}",
  mq_timedsend = "(send|sent) {msg_len:size} to the message queue {mqdes}",
  mq_timedreceive = "(receive|received) [{ret:size} ]from the message queue {mqdes}",
} }
