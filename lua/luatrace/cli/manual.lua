--- The manual page and the shells' completions, made of the table of options: one source for --help, luatrace(1), bash,
-- zsh and fish. Run by the build: luajit scripts/manual.lua man|bash|zsh|fish
--
--   io.write(require("luatrace.cli.manual").man())

local inject = require "luatrace.inject"
local options = require "luatrace.cli.options"
local sweep = require "luatrace.sweep.command"

local M = {}

local function roff(text) return (text:gsub("\\", "\\e"):gsub("^%.", "\\&."):gsub("^'", "\\&'"):gsub("%-", "\\-")) end

local function option_lines(rows)
  local lines = {}
  for _, option in ipairs(rows) do
    if option.section then
      lines[#lines + 1] = ".Ss " .. option.section
      lines[#lines + 1] = ".Bl -tag -width Ds"
      lines[#lines + 1] = "@open"
    elseif option.kind ~= "refused" then
      local names = {}
      if option.short then names[#names + 1] = ("Fl %s"):format(option.short) end
      if option.long then names[#names + 1] = ("Fl \\-%s"):format(roff(option.long)) end
      local value = option.value and " Ar " .. roff(option.value) or ""
      lines[#lines + 1] = ".It " .. table.concat(names, " , ") .. value
      lines[#lines + 1] = roff(option.help:sub(1, 1):upper() .. option.help:sub(2)) .. "."
    end
  end
  -- Lists end where the next one begins.
  local result, open = {}, false
  for _, line in ipairs(lines) do
    if line:find("^%.Ss") then
      if open then result[#result + 1] = ".El" end
      open = true
    end
    if line ~= "@open" then result[#result + 1] = line end
  end
  result[#result + 1] = ".El"
  return result
end

local head = [[
.Dd November 27, 2026
.Dt LUATRACE 1
.Os
.Sh NAME
.Nm luatrace
.Nd run a program with a Lua script behind each of its system calls
.Sh SYNOPSIS
.Nm
.Op Ar options
.Op Ar script.lua Op Ar args
.Fl \-
.Ar command ...
.Nm
.Op Ar options
.Ar command ...
.Nm
.Op Ar options
.Fl p Ar pid
.Op Ar script.lua Op Ar args
.Nm
.Cm sweep
.Op Ar options
.Fl \-
.Ar command ...
.Sh DESCRIPTION
.Nm
runs a program and hands each of its system calls to a Lua script, which may watch it, rewrite it, answer it in the
kernel's place, fail it, delay it, or kill the program there.
Without a script it prints the calls as
.Xr strace 1
does, with the same options.
.Pp
A first word that ends in
.Ql .lua
is a script, which goes up to
.Ql \-\- ;
anything else is the command.
Children are followed; processes that outlive the program are waited for.
.Pp
Calls that nobody asked about are let pass by a seccomp filter and run at full speed; each of the others is served by
the cheapest mechanism that can: an answer of the filter's, a seccomp notification
.Pq Xr seccomp_unotify 2 ,
a stop.
.Fl \-explain
prints which, and why; the program sees the same under all of them.
.Sh SCRIPTS
A handler is one call from entry to return:
.Bd -literal -offset indent
on.openat(function(call)
  local fd, err = call:run()
  if call.pathname:find("%.conf$") and fd then print(call.process.exe, call.pathname) end
end)
.Ed
.Pp
.Bl -tag -width Ds
.It Ic on Ns . Ns Ar name , Ic on Ns ["%file"] , Ic on Ns ["/regex"]
Registers a handler for calls, with the grammar of
.Fl e Cm trace= .
.It Ic watch Ns . Ns Ar name , No and so on
The same for handlers that see a call at its entry only: they look, write memory, answer, wait, kill.
Notifications serve them, somewhat cheaper than stops.
.It Ic at Ns . Ns Ar start , exec , fork , thread , signal , exit , finish
Registers a handler for what happens in the life of a run.
.It Ic call : Ns Ar run , returns , fail , kill , signal , sleep , hold , release , inject , detach , stack , footprint
What can be done with a call.
.It Ic call : Ns Ar skip_exit
Saves the stop at its return: outputs show it without a result
.Po unavailable for
.Fl e Cm status= Pc ,
and
.Fl c
counts it without time or error.
.It Ic call . Ns Ar argument
Every argument by its name in the manual page, typed; assigned before
.Ic call:run
it rewrites the call, after it what the program sees.
.It Ic call.memory
.Ic read , write , cstring , struct , alloc .
.It Ic random
Chance, from
.Fl \-seed .
.El
.Sh MOCKS
Parts of the world that a program sees, made up by the script.
.Bl -tag -width Ds
.It Ic files Ns { Ns ["/path"] = Ar "content" , ["/other"] = false , ["/directory/"] = { Ns } Ns }
Files and directories over the real ones, as real descriptors; nothing that the program writes there reaches the disk.
.It Ic peer.tcp Ns Pq Ar \(dqhost:port\(dq , Ar function(conn)
A server: a coroutine (or the name of an error instead) that talks on the other end of the program's socket with
.Ic conn : Ns Ar read , read_line , read_until , write , stall , shutdown , close , reset .
.Ic peer.unix
is the same on a Unix socket.
.It Ic clock Ns { Ns at = Ar date , speed = Ar number Ns }
The time of day, and how fast time passes for clocks, sleeps, timeouts and timers.
.It Ic getrandom Ns { Ns seed = Ar number Ns }
The same random bytes in every run.
.It Ic getpid Ns Pq Ar number
The same process ids in every run.
.El
.Sh RULES
A rule is
.Ic verb Ns Pq Ar calls , Op outcome , Op where .
.Bl -tag -width Ds
.It Ic fail , returns , kill , delay , signal , short , corrupt
Change what happens: an error, a result, a signal in its place, time, less data, other data.
.It Ic trace , count , hold
Print these calls, count them, keep them waiting.
.El
.Pp
.Ar where
is a table; the same words stand in brackets behind a call in
.Fl e Cm trace=
and
.Fl \-inject ,
with
.Ic = , != , < , <= , >
and
.Ic >= .
.Bl -tag -width Ds
.It Ic path
A pattern on paths and on what descriptors are open on: without a slash on the last component, with one on the whole
path;
.Ql **
crosses slashes,
.Ql {a,b}
is one of several,
.Ql \&!
in front is everything else.
.It Ic fd
A number, a range
.Pq Ql 3.. ,
or a kind: file, dir, pipe, socket, tty, eventfd, epoll, timerfd, signalfd, inotify, memfd, char, block, anon.
.It Ic comm , exe , pid
The process: patterns, a number, or a place in the tree of processes such as 0.2.
.It Ic arg
A table of arguments by name, with fields
.Pq Ql addr.port :
numbers, ranges, flags
.Pq Ql O_CREAT|!O_EXCL ,
names, patterns.
In brackets every other word is an argument.
.It Ic buf
A Lua pattern on the bytes that are written, or were read.
.It Ic errno , ret
What the kernel's own call gave.
.It Ic stack
A function or a module on the stack.
.It Ic nth , scope
Which of the calls for which all else holds: 3, 3.., 3..9, 3..+2; counted in the tree, process, thread, fd or path.
.It Ic prob
Chance, from
.Fl \-seed .
.It Ic after , until , after_startup
Another rule has fired, a time since the start has come, the dynamic loader is done.
.It Ic when
A function.
.El
.Sh EXAMPLES OF CONDITIONS
.Bl -tag -width Ds
.It Li luatrace -e 'openat(flags=O_CREAT)' cmd
Files that are created.
.It Li luatrace -e 'openat(path=*.conf,errno=ENOENT)' cmd
Configuration that was looked for and not found.
.It Li luatrace -e 'write(fd=socket,count>4096)' cmd
Large writes to sockets.
.It Li luatrace -e '%file(path=/etc/**,comm=sshd)' -p PID
What sshd does below /etc.
.It Li luatrace -e 'connect(addr.port={5432,6379})' cmd
Connections to two services.
.It Li luatrace -e 'read(buf=\(dq^HTTP/1\(dq)' cmd
Reads that got the head of an HTTP message.
.It Li luatrace --inject 'write(path=*.db):error=ENOSPC:when=3+' -- cmd
From its third write on, the database is on a full disk.
.It Li luatrace --inject 'fsync(stack=commit):error=EIO' -- cmd
fsync fails where a function called commit has called it.
.It Li luatrace --inject 'read(fd=socket,prob=0.1):short=1' --seed=7 -- cmd
One read of a socket in ten gets a single byte.
.It Li luatrace --inject 'rename(path=*.new):kill' -- cmd
The program dies where it would put the new file into place.
.El
.Sh EXPECTATIONS
What a program must, may and must not do, stated in a script.
When one does not hold,
.Nm
says which and why on standard error and exits with 123.
.Bl -tag -width Ds
.It Ic expect Ns Pq Ar calls , where
Such a call happens;
.Ic :at_least , :at_most , :exactly , :times , :before , :after , :between , :with_result , :within
say how often, when and with what result.
.It Ic never Ns Pq Ar calls , where
None happens.
.It Ic sequence Ns Brq Qq Ar call $f , ...
These calls happen in this order, of the same file.
.It Ic atomic_write Ns Pq Ar path , Brq Ic level Ns = , Ic durable_before Ns Pq Ar event
Files are replaced safely; data is on disk in time.
.It Ic no_ignored_errors , no_fd_leaks , no_zombies , no_bad_pointers , cloexec_everywhere
Errors are heeded; descriptors, children and pointers are handled well.
.It Ic max_calls Ns Brq Ar call Ns =n , Ic only_paths Ns Brq Ar path , ... , Ic no_network Ns ()
Limits.
.It Ic golden Ns Pq Qq Ar file , Ar calls
The calls are those of the file; see
.Fl \-update-golden .
.It Ic run Ns Brq Ic cmd Ns = , Ic script Ns =
Runs a program from a script that is given without a command.
.El
.Sh OPTIONS
]]

local tail = [[
.Sh EXIT STATUS
That of the program;
.Nm
ends by the signal that ended it.
.Bl -tag -width Ds
.It 123
An expectation did not hold.
.It 124
It ran longer than
.Fl \-timeout .
.It 125
.Nm
or the script failed.
.It 126 , 127
The command could not be executed, or was not found.
.El
.Sh SIGNALS
What the keyboard sends (SIGINT, SIGQUIT) reaches the program as well, which decides; at the third one it is killed.
SIGTERM and SIGHUP are passed on to all of the program's processes; a second one, a moment later, kills them.
A signal ends what handlers and rules wait for, as a thread that is held cannot receive it; a handler that goes on
holding one is ended after two seconds.
.Fl I
changes this; attached processes are let go.
.Sh EXAMPLES
.Bl -tag -width Ds
.It luatrace \-\-lua 'on.unlink(function(call) call:returns(0) end)' \-\- gcc x.c
The compiler's temporary files are kept.
.It luatrace \-\-lua 'on.fsync(function(call) call:fail "EIO" end)' \-\- sqlite3 x.db
A disk that fails.
.It luatrace \-e trace=%file \-o trace make
As strace does it.
.It luatrace \-p 1234 \-c
What is a process doing?
.It luatrace \-c \-\-by=file \-U calls,errors,bytes,name make
How often each file is used, and how much goes through it.
.It luatrace \-\-format=human \-\-mark=danger \-e %file,%network ./install.sh
What an installer does to files and on the network, in sentences, with a mark on what touches security.
.It luatrace \-\-format=human \-\-group\-by=file \-o report make
What happened to each file.
.It luatrace \-\-stuck \-p 1234
Why does it hang: what each thread waits for, who could end that, its stack.
.It luatrace \-\-stuck=30 make test
The same for a command, when nothing has run for 30 seconds.
.It luatrace \-\-normalize \-o before ./prog ; luatrace \-\-normalize \-o after ./prog ; diff before after
What is different between two runs.
.El
.Sh SEE ALSO
.Xr strace 1 ,
.Xr ptrace 2 ,
.Xr seccomp 2
.Sh CAVEATS
.Nm
is no security boundary: memory may change between the moment it is read and the moment the kernel reads it.
Calls through the vDSO and through io_uring are not seen
.Pq see Fl \-hide-vdso No and Fl \-io-uring .
]]

--- luatrace(1) in mdoc.
---@return string
function M.man()
  return table.concat { head, table.concat(option_lines(options.rows), "\n"), "\n", sweep.manual,
    table.concat(option_lines(sweep.rows), "\n"), "\n", tail }
end

local function each_option(rows)
  rows = rows or options.rows
  local i = 0
  return function()
    repeat i = i + 1 until not rows[i] or (not rows[i].section and rows[i].kind ~= "refused")
    return rows[i]
  end
end

local function option_words(rows)
  local words = {}
  for option in each_option(rows) do
    if option.short then words[#words + 1] = "-" .. option.short end
    local takes_value = option.value and option.value:sub(1, 1) ~= "["
    if option.long then words[#words + 1] = "--" .. option.long .. (takes_value and "=" or "") end
  end
  return table.concat(words, " ")
end

--- The words that an option takes as its value, where they are known; those of --simulate are files.
local function value_words(option)
  if option.long == "simulate" then return inject.names end
  return options.words_of[option.check]
end

--- Cases of bash: what follows an option, as a word of its own or after "=".
local function value_cases(rows)
  local lines = {}
  for option in each_option(rows) do
    local words = value_words(option)
    if words then
      local names = option.short and "-" .. option.short .. " | --" .. option.long or "--" .. option.long
      lines[#lines + 1] = ("  %s) values='%s' ;;"):format(names, table.concat(words, " "))
    end
  end
  return table.concat(lines, "\n")
end

function M.bash()
  return ([==[
_luatrace() {
  local word=${COMP_WORDS[COMP_CWORD]} i
  local option=${COMP_WORDS[COMP_CWORD-1]} values=
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    --) COMP_WORDS=("${COMP_WORDS[@]:i}"); COMP_CWORD=$((COMP_CWORD - i)); _command_offset 1; return ;;
    esac
  done
  # "=" is a word of its own.
  if [[ $word == = ]]; then word=
  elif [[ $option == = ]]; then option=${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $option in
%s
  esac
  if [[ $values ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
  elif [[ $word == -* && ${COMP_WORDS[1]} == sweep ]]; then
    mapfile -t COMPREPLY < <(compgen -W '%s' -- "$word")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W '%s' -- "$word")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  else
    mapfile -t COMPREPLY < <(compgen -f -X '!*.lua' -- "$word"; compgen -c -- "$word")
  fi
}
complete -o filenames -F _luatrace luatrace
]==]):format(value_cases(options.rows), option_words(sweep.rows), option_words(options.rows))
end

local function quoted(text) return (text:gsub("'", "'\\''")) end

--- The arguments of one command, for zsh.
local function arguments(lines, rows)
  lines[#lines + 1] = "_arguments -S \\"
  for option in each_option(rows) do
    local help = quoted(option.help:gsub("[%[%]:]", "\\%0"))
    local words = value_words(option)
    local value = option.value and (":%s:%s"):format(option.value:gsub("[%[%]]", ""), words and "(" ..
      table.concat(words, " ") .. ")" or "") or ""
    if option.short then lines[#lines + 1] = ("  '*-%s[%s]%s' \\"):format(option.short, help, value) end
    if option.long then
      lines[#lines + 1] = ("  '*--%s%s[%s]%s' \\"):format(option.long, option.value and "=" or "", help, value)
    end
  end
  lines[#lines + 1] = "  '*::command: _normal'"
end

function M.zsh()
  local lines = { "#compdef luatrace", "if [[ $words[2] == sweep ]]; then", "  shift words; (( CURRENT-- ))" }
  arguments(lines, sweep.rows)
  lines[#lines + 1] = "  return"
  lines[#lines + 1] = "fi"
  arguments(lines, options.rows)
  return table.concat(lines, "\n") .. "\n"
end

function M.fish()
  local lines = {}
  for _, command in ipairs { { "not __fish_seen_subcommand_from sweep", options.rows },
    { "__fish_seen_subcommand_from sweep", sweep.rows } } do
    for option in each_option(command[2]) do
      local words = value_words(option)
      lines[#lines + 1] = ("complete -c luatrace -n '%s'%s%s%s -d '%s'"):format(command[1],
        option.short and " -s " .. option.short or "", option.long and " -l " .. option.long or "",
        words and (" -x -a '%s'"):format(table.concat(words, " ")) or option.value and " -r" or "",
        quoted(option.help))
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
