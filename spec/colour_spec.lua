-- Colours: on a terminal, unless one does not want them; never elsewhere; what is seen is the same text.

local support = require "spec.support"

--- Runs luatrace on a terminal of its own; what the terminal got, without carriage returns.
local function on_terminal(options, cmd, env)
  local words = { support.python, "-c", [=[
import fcntl, os, pty, struct, sys, termios
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
text = b""
while True:
    try: piece = os.read(master, 65536)
    except OSError: break
    if not piece: break
    text += piece
os.waitpid(pid, 0)
sys.stdout.buffer.write(text.replace(b"\r\n", b"\n"))
]=], support.binary }
  for _, word in ipairs(options) do words[#words + 1] = word end
  words[#words + 1] = "--"
  for _, word in ipairs(cmd) do words[#words + 1] = word end
  local all = { TERM = "xterm", NO_COLOR = false }
  for name, value in pairs(env or {}) do all[name] = value end
  return support.execute { words = words, env = all }.stdout
end

local function plain(text) return (text:gsub("\27%[[%d;]*m", "")) end

local failing = { "cat", "/nonexistent" }

describe("colours", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("are there on a terminal: calls, strings, errors, ends", function()
    local text = on_terminal({}, failing)
    assert.matches('\27%[1mopenat\27%[0m%(AT_FDCWD, \27%[32m"/nonexistent"\27%[0m, O_RDONLY%)%s+= ' ..
      '\27%[31m%-1 ENOENT %(No such file or directory%)\27%[0m\n', text)
    assert.matches("\27%[1;31m%+%+%+ exited with 1 %+%+%+\27%[0m\n", text)
    assert.matches("\27%[33m%-%-%- SIGUSR1 {", on_terminal({}, { "sh", "-c", "trap : USR1; kill -USR1 $$" }))
  end)

  it("are not there for NO_COLOR, for a dumb terminal, for --color=never, and for files and pipes", function()
    assert.is_nil(on_terminal({}, failing, { NO_COLOR = "1" }):find("\27[", 1, true))
    assert.is_nil(on_terminal({}, failing, { TERM = "dumb" }):find("\27[", 1, true))
    assert.is_nil(on_terminal({ "--color=never" }, failing):find("\27[", 1, true))
    assert.is_nil(support.run({ cmd = failing }).stderr:find("\27[", 1, true))
    local directory = support.tempdir()
    on_terminal({ "-o", directory .. "/t" }, failing)
    assert.is_nil(support.read(directory .. "/t"):find("\27[", 1, true))
  end)

  it("do not change what is seen, nor where results stand", function()
    local painted = support.run { options = { "--color=always", "-f", "--normalize" }, cmd = failing }.stderr
    local bare = support.run { options = { "--color=never", "-f", "--normalize" }, cmd = failing }.stderr
    assert.are_not.equal(bare, painted)
    assert.equal(bare, plain(painted))
  end)

  it("come with --color=always whatever NO_COLOR says", function()
    local result = support.run { options = { "--color=always" }, cmd = failing, env = { NO_COLOR = "1" } }
    assert.matches("\27%[1mopenat", result.stderr)
  end)

  it("--tree fits the terminal", function()
    local text = on_terminal({ "--tree" }, { "true", ("x"):rep(200) })
    assert.matches("\27%[36m= 0\27%[0m\n", text)
    for line in plain(text):gmatch("[^\n]+") do assert.is_true(#line <= 60, line) end
    local whole = support.run { options = { "--tree" }, cmd = { "true", ("x"):rep(200) } }
    assert.is_truthy(whole.stderr:find(("x"):rep(200), 1, true))
  end)

  it("a wrong word is refused", function()
    local result = support.run { options = { "--color=red" }, cmd = failing }
    assert.equal(125, result.status)
    assert.matches("%-%-color takes one of auto, always, never", result.stderr)
  end)
end)
