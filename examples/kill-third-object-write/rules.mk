# The compiler's output goes to the assembler through a pipe: the shell between make and the two hides from make that
# one of them died by a signal (make would delete the target by itself), and gcc is not there to clean up.
CC = gcc
CFLAGS = -O1 -Wall -Wextra -Werror

hello: main.o greet.o
	$(CC) -o $@ main.o greet.o

%.o: %.c greet.h
	$(CC) $(CFLAGS) -S -o - $< | as -o $@ -
