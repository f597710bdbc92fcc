---@meta
-- What a script sees, for editors: lua-language-server reads this file (through .luarc.json) and completes `on.`,
-- `at.`, `call.` in scripts. It is not loaded at run time; script.lua and event.lua are what it describes.

---@alias luatrace.Handler fun(call: luatrace.Call)

--- Registers a handler: on.openat(fn), on["%file"](fn), on["/regex"](fn), on["open,openat"](fn), on["%all"](fn).
---@type table<string, fun(handler: luatrace.Handler)>
on = {}

--- The same for handlers that see a call at its entry only: they look, read and write memory, answer, fail, wait, kill.
--- Seccomp notifications serve them, cheaper than stops; the result, new arguments, inject and stack are `on`'s.
---@type table<string, fun(handler: luatrace.Handler)>
watch = {}

---@class luatrace.At
---@field start fun(handler: fun(process: luatrace.Process)) the program's own image is in place
---@field exec fun(handler: fun(process: luatrace.Process)) a process has a new image
---@field fork fun(handler: fun(process: luatrace.Process)) a process was born; process.parent is who made it
---@field thread fun(handler: fun(thread: luatrace.Thread)) a thread was born
---@field signal fun(handler: fun(signal: luatrace.Signal)) a signal is about to be delivered
---@field exit fun(handler: fun(process: luatrace.Process)) a process has ended: process.status or process.signal
---@field finish fun(handler: fun(run: luatrace.Run)) all is over
at = {}

---@class luatrace.Run
---@field status integer|nil exit status of the program
---@field signal integer|nil number of the signal that killed it
---@field time number seconds
---@field calls table<string, { count: integer, errors: integer }> per call name; zero for what never happened

---@class luatrace.Script
---@field name string|nil
---@field args string[]
---@field seed integer
script = {}

--- 0 <= x < 1; random(n): 1 to n; random(m, n): m to n. All from --seed.
---@param m? integer
---@param n? integer
---@return number
function random(m, n) end

--- Hides the vDSO: clock_gettime, gettimeofday, time and getcpu become calls, which can be seen and changed.
function hide_vdso() end

--- All of this, as a table.
---@type table
luatrace = {}

--- Which calls are meant, of rules and of expectations. See the README's chapter on rules.
---@class luatrace.Where
---@field path string|string[]|nil "*.db", "/etc/**", "!/usr/**"
---@field fd integer|string|table|nil 3, "3..", "pipe", or a list
---@field comm string|string[]|nil
---@field exe string|string[]|nil
---@field pid integer|string|nil a pid, or a place in the tree of processes: "0.2"
---@field arg table<string, any>|nil { flags = "O_CREAT|!O_EXCL", count = "4096..", ["addr.port"] = 5432 }
---@field buf string|nil a Lua pattern on what is written or was read
---@field errno string|string[]|nil what the kernel's own call gave: "EAGAIN", "any", "none"
---@field ret number|string|nil the same: 0, "1.."
---@field stack string|string[]|nil a function or a module on the stack
---@field nth integer|string|nil 3, "3..", "3..9", "3..+2"
---@field scope "tree"|"process"|"thread"|"fd"|"path"|nil what is counted together
---@field prob number|nil chance, from --seed
---@field after luatrace.Rule|string|number|nil a rule, its name, or seconds since the start
---@field until_ luatrace.Rule|string|number|nil the same; also written ["until"]
---@field after_startup boolean|nil the dynamic loader is done
---@field when (fun(call: luatrace.Call): boolean)|nil
---@field name string|nil for after and until of other rules
---@field at "entry"|"exit"|nil kill, delay, signal: before the call (default) or after it
---@field execute boolean|nil fail, returns: the call happens, then its result is replaced
---@field any_errno boolean|nil fail: an error, too, that this call never gives

---@class luatrace.Rule
---@field hits integer how often it has fired; what the seccomp filter answers by itself is not counted
---@field title string

--- The call fails instead of happening. A list: one of them by chance.
---@param calls string
---@param errno string|string[]
---@param where? luatrace.Where
---@return luatrace.Rule
function fail(calls, errno, where) end

--- The call does not happen; the program sees this result.
---@param calls string
---@param value number
---@param where? luatrace.Where
---@return luatrace.Rule
function returns(calls, value, where) end

--- The process dies there, by SIGKILL unless a signal is given.
---@param calls string
---@param signal? string|luatrace.Where
---@param where? luatrace.Where
---@return luatrace.Rule
function kill(calls, signal, where) end

--- The thread waits: seconds, "200ms", or { 0.1, 0.5 } for something between.
---@param calls string
---@param time number|string|table
---@param where? luatrace.Where
---@return luatrace.Rule
function delay(calls, time, where) end

--- The thread gets a signal.
---@param calls string
---@param signal string
---@param where? luatrace.Where
---@return luatrace.Rule
function signal(calls, signal, where) end

--- Less goes through than was asked for: a number of bytes, a fraction, "1..10"; without it a length by chance.
---@param calls string
---@param bytes? number|string|luatrace.Where
---@param where? luatrace.Where
---@return luatrace.Rule
function short(calls, bytes, where) end

--- Other bytes arrive: so many bits turned over, a string laid over them, or what a function makes of them.
---@param calls string
---@param how? integer|string|(fun(bytes: string, call: luatrace.Call): string)|luatrace.Where
---@param where? luatrace.Where
---@return luatrace.Rule
function corrupt(calls, how, where) end

--- These calls are printed, and only these unless other output is asked for.
---@param calls string
---@param where? luatrace.Where
---@return luatrace.Rule
function trace(calls, where) end

--- How often; in rule.hits, and printed at the end.
---@param calls string
---@param where? luatrace.Where
---@return luatrace.Rule
function count(calls, where) end

--- The thread waits in front of the call until rule:release(), or until `until`.
---@param calls string
---@param where? luatrace.Where
---@return luatrace.Rule
function hold(calls, where) end

--- The library of faults: inject.full_disk { quota = "1M", path = "/var/**" }. `luatrace --simulate=help` lists them.
---@type table<string, fun(options: table)>
inject = {}

---@class luatrace.FileDefinition
---@field content string|nil what is in it; none for a directory, whose name ends with a slash
---@field link string|nil a symbolic link, and where it leads to
---@field mode integer|nil permissions; default the real file's, else 0644, 0755
---@field uid integer|nil
---@field gid integer|nil
---@field mtime number|nil seconds since 1970

--- A mock: files that exist for the program only. `false`: no such file; a function makes the content at each open.
---@param definitions table<string, string|luatrace.FileDefinition|false|fun(path: string): string>
---@return luatrace.MockFiles
function files(definitions) end

---@class luatrace.MockFiles
---@field read fun(self, path: string): string|nil what is in a mocked file now, or was when the run ended
---@field list fun(self): string[] paths of the mocked files there are

---@class luatrace.PeerApi
---@field tcp fun(where: string, talk: string|fun(conn: luatrace.Connection)): luatrace.Peer "HOST:PORT"; a function, or
-- the name of the error that connecting fails with
---@field unix fun(path: string, talk: string|fun(conn: luatrace.Connection)): luatrace.Peer

--- A mock: servers that the script is.
---@type luatrace.PeerApi
peer = {}

---@class luatrace.Peer
---@field name string
---@field count integer connections so far

---@class luatrace.Connection
---@field number integer 1 for the first connection to this peer
---@field process luatrace.Process who has connected
---@field ip string|nil
---@field port integer|nil
---@field read fun(self, size?: integer|"*a"): string|nil nil when the program has closed its end and all is read
---@field read_line fun(self): string|nil
---@field read_until fun(self, text: string): string|nil
---@field write fun(self, ...: string|number): true|nil, string?
---@field stall fun(self, seconds?: number)
---@field shutdown fun(self)
---@field close fun(self)
---@field reset fun(self)

--- A mock: the kernel's random bytes, the same in every run. Without a seed: --seed.
---@param options { seed: integer? }
function getrandom(options) end

--- A mock: the program is the process with this id, its threads and children have the next ones.
---@param first integer
function getpid(first) end

---@class luatrace.ClockOptions
---@field at string|number|nil "2038-01-19 03:14:07 +01:00" (without a zone: UTC), or seconds since 1970
---@field speed number|nil how many times faster than real time passes

--- A mock: what time it is for the program, and how fast it passes.
---@param options luatrace.ClockOptions
---@return luatrace.MockTime
function clock(options) end

---@class luatrace.MockTime
---@field now fun(self): number seconds since 1970, for the program
---@field advance fun(self, seconds: number) all its clocks jump forward

--- Gives a command every failure that could happen to it, one a run; before a program runs, or instead of one.
---@param options luatrace.SweepOptions
---@return luatrace.SweepReport|nil report, string? message
function sweep(options) end

---@class luatrace.SweepReport
---@field findings { verdict: string, title: string, details: table[], code: string, confirmed: string }[]
---@field runs { id: string, verdict: string, call: string, path: string?, fault: string }[]
---@field complete boolean all planned runs were made
---@field counts table<string, table<string, integer>> by family of faults and verdict

---@class luatrace.CallExpectation
---@field at_least fun(self, n: integer): luatrace.CallExpectation
---@field at_most fun(self, n: integer): luatrace.CallExpectation
---@field exactly fun(self, n: integer): luatrace.CallExpectation
---@field times fun(self, min: integer, max: integer?): luatrace.CallExpectation
---@field before fun(self, calls: string, where: luatrace.Where?): luatrace.CallExpectation none of these before one of ours
---@field after fun(self, calls: string, where: luatrace.Where?): luatrace.CallExpectation none of ours before one of these
---@field between fun(self, from: string|table, to: string|table): luatrace.CallExpectation
---@field with_result fun(self, wanted: any): luatrace.CallExpectation a number, { min, max }, "EIO", "ok", "failed"
---@field within fun(self, seconds: number): luatrace.CallExpectation the first comes so soon

--- An expectation: such a call happens.
---@param calls string
---@param where luatrace.Where?
---@return luatrace.CallExpectation
function expect(calls, where) end

--- An expectation: no such call happens.
---@param calls string
---@param where luatrace.Where?
function never(calls, where) end

--- An expectation: these calls come in this order; variables such as $f bind files.
---@param steps (string|table)[] "openat $f", { "write", fd = "$f" }
function sequence(steps) end

--- An expectation: a file is replaced, never written in place.
---@param path string a pattern
---@param options { level: "rename"|"fsync"|"directory" }|nil
function atomic_write(path, options) end

--- An expectation: what was written is synced before the event.
---@param event string|table "exit", a set of calls, or { set, fd = 1 }
---@param options { path: string|nil, names: boolean|nil }|nil
function durable_before(event, options) end

--- An expectation: a process has closed what it opened when it exits.
---@param options { allow: string[] }|nil
function no_fd_leaks(options) end

--- An expectation: no call fails with EFAULT.
---@param calls string|nil
function no_bad_pointers(calls) end

--- An expectation: a process in which a write, sync, rename or close failed does not exit with 0.
---@param calls string|nil
function no_ignored_errors(calls) end

--- An expectation: a process has waited for its dead children when it exits.
function no_zombies() end

--- An expectation: every descriptor is closed by an exec.
---@param options { allow: string[]|nil, strict: boolean|nil }|nil
function cloexec_everywhere(options) end

--- An expectation: so many calls at the most.
---@param limits table<string, integer>
function max_calls(limits) end

--- An expectation: no other file is named.
---@param paths table paths, "%libraries", write = { ... }
function only_paths(paths) end

--- An expectation: nothing goes over a network.
---@param options { loopback: boolean }|nil
function no_network(options) end

--- An expectation: the calls are those of the file.
---@param file string beside the script
---@param calls string|nil
---@param where luatrace.Where?
function golden(file, calls, where) end

--- Runs a program to its end, in scripts that are given without a command.
---@param options luatrace.RunOptions
---@return luatrace.TestRun
function run(options) end

--- Starts a program; it goes on in `run:wait()`, or together with others in `together`.
---@param options luatrace.RunOptions
---@return luatrace.TestRun
function start(options) end

--- Runs functions side by side: while one waits for its program, the others go on.
---@vararg fun()
function together(...) end

--- What a power loss may leave: record, states, check, write. The header of sweep/powerloss.lua is the manual.
---@type table
powerloss = {}

---@class luatrace.Call
---@field fd luatrace.ArgumentFd
---@field dirfd luatrace.ArgumentFd
---@field sockfd luatrace.ArgumentFd
---@field pathname string
---@field oldpath string
---@field newpath string
---@field flags luatrace.Flags
---@field buf string
---@field count integer
---@field addr table
---@field iov string
---@field [string] any every argument by its name in the manual page
