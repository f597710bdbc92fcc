#include "calls.h"
#include <sys/timex.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <utime.h>
int main(void){ begin(); struct timex tx; memset(&tx,0,sizeof tx); S(adjtimex,&tx); S(clock_adjtime,0,&tx); tx.modes=0xffff; tx.status=0x41; if(0)S(adjtimex,&tx); S(adjtimex,BAD); S(adjtimex,0); S(clock_adjtime,99,&tx);
 struct sigevent se; memset(&se,0,sizeof se); se.sigev_notify=SIGEV_SIGNAL; se.sigev_signo=SIGUSR1; int id; se.sigev_value.sival_ptr=(void*)0x123456789aUL; S(timer_create,1,&se,&id); struct itimerspec it={{0,0},{1,500}},old; S(timer_settime,id,0,&it,&old); S(timer_settime,id,1,&it,0); S(timer_gettime,id,&old); S(timer_getoverrun,id); S(timer_delete,id); se.sigev_notify=SIGEV_THREAD_ID; ((int*)&se)[4]=getpid(); S(timer_create,0,&se,&id); se.sigev_notify=SIGEV_THREAD; S(timer_create,0,&se,&id);se.sigev_notify=SIGEV_NONE; S(timer_create,0,&se,&id);se.sigev_notify=77; S(timer_create,0,&se,&id); S(timer_create,0,0,&id); S(timer_create,0,BAD,BAD); S(timer_settime,9999,3,BAD,BAD); S(timer_gettime,99,BAD); S(timer_delete,-1); S(timer_getoverrun,-1);
 int t=S(timerfd_create,1,02004000); S(timerfd_settime,t,0,&it,&old); S(timerfd_settime,t,7,&it,0); S(timerfd_gettime,t,&old); S(timerfd_gettime,-1,BAD); S(timerfd_create,55,1);
 struct tms tm; S(times,&tm); S(times,0); S(times,BAD);
 struct utimbuf ub={1,1000000000}; close(open("calls_tmp_ut",O_CREAT,0600)); S(utime,"calls_tmp_ut",&ub); S(utime,"calls_tmp_ut",0); S(utime,"calls_tmp_none",&ub); S(utime,BAD,BAD); struct timeval tv[2]={{1,2},{3,4}}; S(futimesat,AT_FDCWD,"calls_tmp_ut",tv); S(futimesat,-1,"calls_tmp_ut",0);S(futimesat,-1,"x",BAD); S(utimes,"calls_tmp_ut",tv); struct timespec ts[2]={{0,1073741823},{1000000000,1073741822}}; S(utimensat,AT_FDCWD,"calls_tmp_ut",ts,0x100); unlink("calls_tmp_ut");
 struct itimerval iv={{0,0},{5,6}}; S(setitimer,0,&iv,0); S(getitimer,0,&iv); S(setitimer,9,BAD,BAD);
 S(alarm,0); S(clock_getres,1,ts); S(clock_gettime,-6,ts);S(clock_getres,1,0);S(clock_gettime,0x12345,ts); S(time,0); S(gettimeofday,tv,0); S(settimeofday,BAD,0); ts[0].tv_sec=0; ts[0].tv_nsec=10; S(clock_nanosleep,1,0,ts,0); S(clock_nanosleep,1,1,ts,ts); S(nanosleep,ts,ts); S(nanosleep,BAD,0);
 return 0;}
