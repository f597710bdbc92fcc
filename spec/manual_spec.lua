-- The manual page and the completions say what the program takes.

local support = require "spec.support"

support.module()
local manual = require "luatrace.cli.manual"
local options = require "luatrace.cli.options"

describe("the manual", function()
  after_each(support.clean)

  it("has every option that luatrace takes", function()
    local page = manual.man():gsub("\\%-", "-")
    for _, rows in ipairs { options.rows, require("luatrace.sweep.command").rows } do
      for _, option in ipairs(rows) do
        if option.long and option.kind ~= "refused" then
          assert.is_truthy(page:find("Fl -" .. option.long, 1, true), option.long)
        end
      end
    end
  end)

  it("tells editors of every name that a script has", function()
    local script = require "luatrace.script"
    local file = assert(io.open(support.root .. "/lua/luatrace/script_api.lua"))
    local known = "\n" .. file:read "*a"
    file:close()
    local _, environment = script.new { seed = 1, args = {} }
    for name in pairs(script.names(environment)) do
      if _G[name] == nil and name ~= "arg" then
        local found = known:find("\n" .. name .. " = ", 1, true) or known:find("\nfunction " .. name .. "(", 1, true)
        assert.is_truthy(found, name)
      end
    end
  end)

  it("is sound mdoc", function()
    if not support.has "mandoc" then return pending("mandoc is not installed") end
    local checked = support.native { cmd = { "mandoc", "-Tlint", "-W", "error" }, stdin = manual.man() }
    assert.equal("", checked.stdout)
  end)

  it("completes in bash", function()
    local code = manual.bash() .. [[
COMP_WORDS=(luatrace --see); COMP_CWORD=1; _luatrace; echo "${COMPREPLY[@]}"]]
    assert.equal("--seed=\n", support.native { cmd = { "bash", "-c", code } }.stdout)
    local of_sweep = manual.bash() .. [[
COMP_WORDS=(luatrace sweep --sh); COMP_CWORD=2; _luatrace; echo "${COMPREPLY[@]}"]]
    assert.equal("--shard=\n", support.native { cmd = { "bash", "-c", of_sweep } }.stdout)
    -- Values, as bash splits the words.
    for words, expected in pairs { ["--format = "] = "text json human", ["--format = j"] = "json",
      ["--trap no"] = "notify", ["--simulate = slow_"] = "slow_disk slow_network", ["-X v"] = "verbose",
      ["--simulate ="] = table.concat(require("luatrace.inject").names, " ") } do
      local values = manual.bash() .. ([[
COMP_WORDS=(luatrace %s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _luatrace; echo "${COMPREPLY[@]}"]]):format(
        (words:gsub(" $", ' ""')))
      assert.equal(expected .. "\n", support.native { cmd = { "bash", "-c", values } }.stdout, words)
    end
    assert.matches("'%*%-%-format=%[[^%]]*%]:FORMAT:%(text json human%)'", manual.zsh())
    assert.matches("%-l format %-x %-a 'text json human' ", manual.fish())
  end)

  it("is what --help says, too", function()
    local help = support.run { options = { "--help" } }
    for _, option in ipairs(options.rows) do
      if option.long then assert.is_truthy(help.stdout:find("--" .. option.long, 1, true), option.long) end
    end
  end)
end)
