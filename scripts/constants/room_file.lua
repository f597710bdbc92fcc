--- Files: opening, looking, seeking, locking, mounting.

return {
  title = "Constants of files.",

  { "flags", "open_flags", "O_", "linux/fcntl.h", [[
    O_RDONLY O_WRONLY O_RDWR O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_ASYNC=0x2000
    O_DIRECT O_LARGEFILE O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH O_TMPFILE __O_TMPFILE ]] },
}
