--- Terminals: termios, modem lines, ioctls' own values.

return {
  title = "Constants of terminals.",

  { "flags", "termios_iflag", "", "asm/termbits.h", [[
    IGNBRK BRKINT IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8 ]] },
  { "flags", "termios_oflag", "", "asm/termbits.h", "OPOST OLCUC ONLCR OCRNL ONOCR ONLRET OFILL OFDEL" },
  { "enum", "termios_oflag_nl", "NL", "asm/termbits.h", "NL0 NL1" },
  { "enum", "termios_oflag_cr", "CR", "asm/termbits.h", "CR0 CR1 CR2 CR3" },
  { "enum", "termios_oflag_tab", "TAB", "asm/termbits.h", "TAB0 TAB1 TAB2 TAB3" },
  { "enum", "termios_oflag_bs", "BS", "asm/termbits.h", "BS0 BS1" },
  { "enum", "termios_oflag_vt", "VT", "asm/termbits.h", "VT0 VT1" },
  { "enum", "termios_oflag_ff", "FF", "asm/termbits.h", "FF0 FF1" },
  { "flags", "termios_cflag", "", "asm/termbits.h", "CSTOPB CREAD PARENB PARODD HUPCL CLOCAL CMSPAR CRTSCTS ADDRB" },
  { "enum", "termios_cflag_csize", "CS", "asm/termbits.h", "CS5 CS6 CS7 CS8" },
  { "enum", "baud_rate", "B", "asm/termbits.h", [[
    B0 B50 B75 B110 B134 B150 B200 B300 B600 B1200 B1800 B2400 B4800 B9600 B19200 B38400 B57600 B115200 B230400 B460800
    B500000 B576000 B921600 B1000000 B1152000 B1500000 B2000000 B2500000 B3000000 B3500000 B4000000 BOTHER ]] },
  { "flags", "termios_lflag", "", "asm/termbits.h",
    "ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH IEXTEN ECHOCTL ECHOPRT ECHOKE FLUSHO PENDIN TOSTOP EXTPROC" },
  { "enum", "termios_cc", "V", "asm/termbits.h", [[
    VINTR VQUIT VERASE VKILL VEOF VTIME VMIN VSWTC VSTART VSTOP VSUSP VEOL VREPRINT VDISCARD VWERASE VLNEXT VEOL2 ]] },
  { "flags", "modem_lines", "TIOCM_", "asm/termios.h", [[
    TIOCM_LE TIOCM_DTR TIOCM_RTS TIOCM_ST TIOCM_SR TIOCM_CTS TIOCM_CAR TIOCM_RNG TIOCM_DSR TIOCM_OUT1 TIOCM_OUT2
    TIOCM_LOOP ]] },
  { "flags", "packet_mode", "TIOCPKT_", "asm/ioctls.h", "TIOCPKT_*" },
  { "enum", "tcflsh", "TC", "asm/termbits.h asm/termios.h", "TCIFLUSH TCOFLUSH TCIOFLUSH" },
  { "enum", "tcxonc", "TC", "asm/termbits.h asm/termios.h", "TCOOFF TCOON TCIOFF TCION" },
  { "enum", "line_discipline", "N_", "linux/tty.h", "N_*" },
  { "flags", "loop_flags", "LO_FLAGS_", "linux/loop.h", "LO_FLAGS_*" },
  { "enum", "loop_crypt", "LO_CRYPT_", "linux/loop.h", "LO_CRYPT_*" },
}
