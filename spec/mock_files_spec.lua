-- The files mock: real programs on files that are not there. What is expected comes from the same programs on real
-- files, from the kernel, and from the disk, which must not change.

local mocked = require "spec.mocked"
local support = require "spec.support"

local run, sh, python = mocked.run, mocked.sh, mocked.python

local passwd = [[files { ["/etc/passwd"] = "root:x:0:0::/:/bin/sh\nada:x:1815:1815:Countess:/home/ada:/bin/sh\n",
  ["/etc/group"] = "math:x:1815:\n" } ]]
local directory = 'files { ["/srv/luatrace-mock/"] = {} } '

describe("the files mock", function()
  after_each(mocked.leaves_nothing)

  it("lets id find a user who does not exist", function()
    assert.are.equal("uid=1815(ada) gid=1815(math) groups=1815(math)\n", run(passwd, { "id", "ada" }))
    assert.are.equal("uid=1815(ada) gid=1815(math) groups=1815(math)\n",
      run(passwd, { "id", "ada" }, { options = { "--trap=ptrace" } }))
  end)

  it("gives real descriptors: the lowest number, seeking, mapping, polling, duplicating, inheriting", function()
    assert.are.equal("3 True b'root:x:0:0' ada b'root' [(3, 5)] root:x:0:0::/:/bin/sh\n", (python(passwd, [[
import os, mmap, select, subprocess
fd = os.open("/etc/passwd", os.O_RDONLY)
same = os.fstat(fd) == os.stat("/etc/passwd") == os.lstat("/etc/passwd")
start = os.read(fd, 10)
os.lseek(fd, 22, os.SEEK_SET)
name = os.read(os.dup(fd), 3).decode()
mapped = mmap.mmap(fd, 0, prot=mmap.PROT_READ)[:4]
poll = select.poll()
poll.register(fd)
os.lseek(fd, 0, os.SEEK_SET)
os.set_inheritable(fd, True)
line = subprocess.run(["head", "-1", "/dev/fd/3"], close_fds=False, stdout=subprocess.PIPE).stdout.decode()
print(fd, same, start, name, mapped, poll.poll(0), line, end="")]])))
  end)

  it("agrees with itself by every way to ask", function()
    assert.are.equal("True True True True True 1 True\n", python([[files {
      ["/srv/luatrace-mock/conf"] = { content = "12345", mode = tonumber("640", 8), mtime = 1e9 } }]], [[
import os
path = "/srv/luatrace-mock/conf"
stat = os.stat(path)
directory = os.open("/srv/luatrace-mock", os.O_RDONLY)
entry = next(os.scandir("/srv/luatrace-mock"))
print(stat.st_size == 5 and stat.st_mode == 0o100640 and stat.st_mtime == 1e9,
      os.access(path, os.R_OK), os.path.isdir("/srv/luatrace-mock"), os.stat("conf", dir_fd=directory) == stat,
      os.listdir("/srv/luatrace-mock") == ["conf"] and entry.inode() == stat.st_ino and entry.is_file(),
      stat.st_nlink, os.readlink("/proc/self/fd/%d" % os.open("conf", 0, dir_fd=directory)) == path)]]))
  end)

  it("hides what is said not to be there, and shows among real files what is not", function()
    local real = support.tempdir()
    support.write(real .. "/one", "1")
    support.write(real .. "/two", "2")
    local lua = ('files { ["%s/one"] = false, ["%s/three"] = "3", ["%s/two"] = "mocked" }'):format(real, real, real)
    assert.are.equal("three\ntwo\n", run(lua, { "ls", real }))
    assert.are.equal("mocked3", sh(lua, ("cd %s; cat two three; test ! -e one"):format(real)))
    assert.are.equal("1", support.read(real .. "/one"))
    assert.are.equal("2", support.read(real .. "/two"))
    assert.is_nil(support.read(real .. "/three"))
  end)

  it("has more of them open than the soft limit of descriptors allows, which the program keeps", function()
    local many = "local many = {} for i = 1, 600 do many['/luatrace-mock/' .. i] = i .. ' ' end "
    local read = "cat /luatrace-mock/* | wc -w; ulimit -Sn; ulimit -Hn; cat /luatrace-mock/600"
    local expected = "600\n256\n700\n600 "
    local function limited(lua, ...)
      local words = { "sh", "-c", 'ulimit -Sn 256; ulimit -Hn 700; exec "$@"', "sh", support.binary, "--lua", lua }
      for _, word in ipairs { ... } do words[#words + 1] = word end
      return support.execute { words = words, timeout = 60 }.stdout
    end
    assert.are.equal(expected, limited(many .. "files(many)", "--", "sh", "-c", read))
    -- A program that is launched when there are many already, with a listener that has to be opened.
    assert.are.equal(expected:rep(2), limited(many .. ([[for _ = 1, 2 do
      io.write(run { cmd = %q, script = function(t) t.files(many) t.watch.getpid(function() end) end }.stdout)
    end]]):format(read)))
  end)

  it("lists very many of them", function()
    local listed = run([[local many = {}
      for i = 1, 3000 do many[("/srv/luatrace-mock/file-with-a-long-name-%04d"):format(i)] = "" end
      files(many)]], { "ls", "/srv/luatrace-mock" })
    assert.are.equal(3000, select(2, listed:gsub("\n", "")))
    -- With as few descriptors as a user's shell allows, luatrace has one for each no longer.
    local few = support.execute { words = { "sh", "-c", 'ulimit -n 256; exec "$@"', "sh", support.binary, "--lua", [[
      local many = {}
      for i = 1, 1500 do many[("/srv/luatrace-mock/file-with-a-long-name-%04d"):format(i)] = "" end
      files(many)]], "--", "ls", "-U", "/srv/luatrace-mock" }, timeout = 20 }
    assert.are.equal(1500, select(2, few.stdout:gsub("\n", "")))
  end)

  it("takes what a program writes, makes, renames and removes, and the disk sees none of it", function()
    local script = directory .. [[local made = files {}
      at.finish(function()
        for _, path in ipairs(made:list()) do print(path, made:read(path)) end
      end)]]
    local printed = sh(script, [[
      cd /srv/luatrace-mock && mkdir sub && echo one >sub/a && ln sub/a b && mv sub/a c && rmdir sub && echo two >>c
      cat b && printf 3 >d && chmod 600 d && stat -c %a d && rm d && pwd && /bin/pwd && ls .. | grep -c luatrace-mock
      touch -d @5 c && stat -c %Y b && truncate -s 3 c && test ! -e d && ! mkdir c 2>/dev/null && sed -i s/n/N/ c]])
    assert.are.equal("one\ntwo\n600\n/srv/luatrace-mock\n/srv/luatrace-mock\n1\n5\n/srv/luatrace-mock/b\tone\n" ..
      "/srv/luatrace-mock/c\toNe\n", printed)
    assert.is_nil(support.read("/srv/luatrace-mock/c"))
  end)

  --- The model is a real directory: the same commands must print the same there.
  it("behaves as a directory on the disk does", function()
    local real = support.tempdir()
    local commands = [==[cd "$1" || exit; exec 2>&1; umask 027
      look() {
        echo "== $1"
        find . -mindepth 1 -printf '%p %y %m %l %n\n' | sed '/ d /s/ [0-9]*$//' | sort
      }
      echo one >a; ln a hard; ln -s a soft; mkdir -p d/e; echo two >d/e/f; ln -s d/e way; ln -s nowhere lost; look made
      cat soft way/f lost; echo three >>soft; cat hard; readlink soft way; readlink a; echo new >lost; cat nowhere
      ls way/; ls -A d; (cd way && pwd -P && cat f ../../a); cat d/../a d/./e/../e/f; cat a/; cat a/b; cat "" none
      ln -s loop loop; cat loop; rm loop; mkdir a; mkdir d; rmdir d; rm d; mkdir none/x; echo x >none/x; look tried
      mv a b; mv d moved; cat moved/e/f way/f; mv b moved; mv moved/b moved/e; look moved
      mv -T moved/e/b soft; cat soft; mv moved moved/e; mkdir empty full; touch full/x; mv -T empty full
      mv -T full empty; look replaced
      chmod 600 hard; chmod 755 empty; touch -d @1000000000 hard; stat -c '%a %Y %s %h' hard; stat -c %a empty/x
      truncate -s 100 hard; stat -L -c '%s' hard; cp -a empty copy; cp -a hard copy; diff -r empty copy
      tar cf t.tar empty hard; tar tf t.tar; mkdir out; tar xf t.tar -C out; look packed
      set -C; echo x >hard; set +C; test -w hard && test -r hard && test ! -x hard && test -x empty && echo access
      rm -r out copy empty t.tar; exec 3>gone; rm gone; echo still >&3; cat /proc/self/fd/3; exec 3>&-; look removed
      unlink nowhere; rm -rf ./*; rmdir "$1/none"; ls -A; echo $?]==]
    local function outcome(text)
      return (text:gsub(real:gsub("%p", "%%%0"), "DIR"):gsub("/srv/luatrace%-mock", "DIR"))
    end
    local expected = support.execute { words = { "sh", "-c", commands, "sh", real }, timeout = 60 }
    assert.are.equal(outcome(expected.stdout), outcome(run(directory, { "sh", "-c", commands, "sh",
      "/srv/luatrace-mock" })))
  end)

  it("follows mocked symbolic links, also to what is real", function()
    local lua = [[files { ["/srv/luatrace-mock/real"] = { link = "/etc" },
      ["/srv/luatrace-mock/made"] = { link = "x/" }, ["/srv/luatrace-mock/x/y"] = "made\n",
      ["/etc/luatrace-mock"] = { link = "passwd" } }]]
    assert.are.equal("made\n1\nsame\n/etc\n", sh(lua, [[cd /srv/luatrace-mock; cat made/y
      ls real/ | grep -cx passwd; cmp /etc/luatrace-mock /etc/passwd && echo same; readlink real]]))
  end)

  it("takes over a real file that is moved to a mocked name", function()
    local real = support.tempdir()
    support.write(real .. "/settings", "old")
    local lua = ([[local made = files { ["%s/settings"] = "mocked" }
      at.finish(function() print(made:read "%s/settings") end)]]):format(real, real)
    assert.are.equal("new\nnew\n\n",
      sh(lua, ("cd %s; echo new >t; mv t settings; cat settings; test ! -e t"):format(real)))
    assert.are.equal("old", support.read(real .. "/settings"))
    assert.is_nil(support.read(real .. "/t"))
  end)

  it("is good enough for databases and compilers", function()
    assert.are.equal("wal\n1\nok\n", run(directory, { "sqlite3", "/srv/luatrace-mock/db", [[
      pragma journal_mode=wal; create table t (x); insert into t values (1); select * from t;
      pragma integrity_check]] }))
    assert.are.equal("7\n", sh(directory, [[cd /srv/luatrace-mock
      echo 'int main(void) { return 7; }' >a.c; gcc -o a a.c; ./a; echo $?]]))
  end)

  it("runs mocked scripts and programs", function()
    local lua = [[files { ["/srv/luatrace-mock/hello"] = { content = "#!/bin/sh\necho hello $1\n", mode = 493 },
      ["/srv/luatrace-mock/not"] = "echo no" }]]
    assert.are.equal("hello you\nrefused\n",
      sh(lua, "/srv/luatrace-mock/hello you; /srv/luatrace-mock/not 2>/dev/null || echo refused"))
  end)

  for _, bits in ipairs { 64, 32 } do
    it(("serves %d-bit programs"):format(bits), function()
      if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      local program = support.tracee("mocked_files", { m32 = bits == 32 })
      assert.are.equal("stat 5 100644 1, fstat the same, read 12345\n.\n..\nconf\nENOENT ENOTDIR EEXIST\n",
        run('files { ["/srv/luatrace-mock/conf"] = "12345" }', { program, "/srv/luatrace-mock" }))
    end)
  end

  it("makes content anew at each open, when the script gives a function", function()
    local lua = [[local n = 0 files { ["/srv/luatrace-mock/n"] = function() n = n + 1 return n .. "\n" end }]]
    assert.are.equal("1\n2\n", sh(lua, "cat /srv/luatrace-mock/n; cat /srv/luatrace-mock/n"))
  end)

  it("works under chroot and for other users", function()
    if not support.is_root then return pending "needs root" end
    local root = support.tempdir()
    local program = support.tracee("mocked_files", { static = true })
    os.execute(("cp %s %s/program"):format(program, root))
    local lua = [[files { ["/srv/luatrace-mock/conf"] = "12345",
      ["/etc/luatrace-mock"] = { content = "x", mode = 384 } }]]
    assert.matches("^stat 5 100644 1, fstat the same, read 12345\n",
      run(lua, { "chroot", root, "/program", "/srv/luatrace-mock" }))
    assert.are.equal("12345no\n", sh(lua, [[setpriv --reuid=65534 --clear-groups sh -c \
      'cat /srv/luatrace-mock/conf; cat /etc/luatrace-mock 2>/dev/null || echo no']]))
  end)

  it("gives files to a program that has a seccomp filter of its own, and harms it not", function()
    local program = support.tracee "mocked_files"
    assert.are.equal("12345", run('files { ["/srv/luatrace-mock/conf"] = "12345" }',
      { program, "/srv/luatrace-mock", "sandboxed" }))
  end)

  it("shows a script's handlers the name, not what is behind it", function()
    assert.are.equal("/etc/passwd file 1\n", run(passwd .. [[on.read(function(call)
        if call.fd.path == "/etc/passwd" then print(call.fd.path, call.fd.kind, call.nth > 0 and 1) end
      end)]], { support.python, "-c", "import os; os.read(os.open('/etc/passwd', 0), 1)" }):gsub("\t", " "), nil)
  end)

  it("refuses what it does not understand, with the script's line", function()
    local refuses = mocked.refuses
    refuses("files 'x'", "files takes a table { [\"/path\"] = \"content\" }, not a string")
    refuses("files { passwd = 'x' }", 'files: "passwd" is no absolute path')
    refuses("files { ['/a'] = 5 }",
      "files: /a takes a string, a function, false, or a table with content, not a number")
    refuses("files { ['/a'] = { contents = 'x' } }",
      "files: /a has no field contents (did you mean content?): it takes content, gid, " ..
      "link, mode, mtime, uid")
    refuses("files { ['/a'] = {} }", "files: /a has no content (a directory's name ends with a slash)")
    refuses("files { ['/a'] = { link = 'b', content = 'x' } }",
      'files: /a: link = "b": a symbolic link is nothing else, and leads somewhere')
    refuses("files { ['/a/'] = 'x' }", "files: /a/ ends with a slash: a directory takes a table")
    refuses("files { ['/a'] = { content = '', mode = 9999 } }",
      'files: /a: mode = 9999: write it as tonumber("644", 8)')
  end)
end)
