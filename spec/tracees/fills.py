# fills.py DIRECTORY - writes until the 64 KiB of a disk are full, in every way, and says what each call has returned.
# All is in pages, so that a real file system counts the same.
import errno, os, sys


def t(name, fn, *a):
    try:
        print(name, fn(*a))
    except OSError as e:
        print(name, errno.errorcode[e.errno])


os.chdir(sys.argv[1])
a = os.open('a', os.O_RDWR|os.O_CREAT)
t('w', os.write, a, b'x'*40960)
t('w', os.write, a, b'x'*40960)
t('w', os.write, a, b'x')
t('over', os.pwrite, a, b'y'*4096, 0)
b = os.open('b', os.O_RDWR|os.O_CREAT)
t('b', os.write, b, b'x')
t('trunc', os.ftruncate, a, 32768)
t('b', os.write, b, b'x'*16384)
t('fallocate', os.posix_fallocate, b, 0, 65536)
t('ftruncate up', os.ftruncate, b, 1000000)
t('hole', os.pwrite, b, b'z'*8192, 900000 // 4096 * 4096)
t('hole2', os.pwrite, b, b'z'*8192, 940000 // 4096 * 4096)
t('hole3', os.pwrite, b, b'z'*8192, 980000 // 4096 * 4096)
t('unlink', os.unlink, 'a')
c = os.open('c', os.O_RDWR|os.O_CREAT|os.O_APPEND)
t('c', os.writev, c, [b'q'*4096]*3)
os.close(a)
t('c', os.writev, c, [b'q'*4096]*3)
t('rename', os.rename, 'c', 'b')
t('c', os.writev, c, [b'q'*4096]*3)
os.close(b)
t('c', os.writev, c, [b'q'*4096]*3)
t('trunc', os.open, 'b', os.O_RDWR|os.O_TRUNC)
t('c', os.writev, c, [b'q'*4096]*16)
t('c', os.writev, c, [b'q'*4096]*3)
