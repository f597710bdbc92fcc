--- Sentences of calls on memory; the grammar is in sentences.lua.

local MAP_ANONYMOUS = 0x20
local function is_anonymous(call)
  local flags = call.flags
  return type(flags) == "table" and math.floor(flags.value / MAP_ANONYMOUS) % 2 == 1
end

return { category = "memory", rows = {
  mmap = { { is_anonymous, "(get|got) {length:size} of memory, {prot:protection}[, at {ret:address}]" },
    "(map|mapped) {length:size} of {fd}, {prot:protection}[, at {ret:address}]" },
  munmap = "(give|gave) {length:size} of memory back, at {addr:address}",
  mremap = "(resize|resized) memory from {old_size:size} to {new_size:size}",
  mprotect = "(make|made) {len:size} of memory {prot:protection}, at {addr:address}",
  pkey_mprotect = "(make|made) {len:size} of memory {prot:protection}",
  madvise = "(say|said) what it will do with {length:size} of memory: {advice:names}",
  brk = { { function(call) return call.raw[1] == 0 end, "(ask|asked) where its heap ends" },
    "(move|moved) the end of its heap to {addr:address}" },
  msync = "(force|forced) {length:size} of mapped memory to its file",
  mlock = "(keep|keeps) {len:size} of memory from being swapped out",
  mlock2 = "(keep|keeps) {len:size} of memory from being swapped out",
  mlockall = "(keep|keeps) all its memory from being swapped out",
  munlock = "(let|lets) {len:size} of memory be swapped out", munlockall = "(let|lets) all its memory be swapped out",
  mincore = "(ask|asked) which of {length:size} of memory is there",
  mseal = "(seal|sealed) {len:size} of memory", membarrier = "(order|ordered) memory accesses between threads",
  process_vm_readv = { "(read|read) [{ret:size} ]of the memory of {pid:process}", category = "security" },
  process_vm_writev = { "(write|wrote) [{ret:size} ]into the memory of {pid:process}", category = "security" },
  userfaultfd = { "(ask|asked) to handle page faults itself[ -> {ret}]", category = "security" },
} }
