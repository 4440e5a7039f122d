// A CUDA device on one CPU thread, for tests: each thread of a block is a fiber that runs until it
// waits, blocks run one after the other, and the order in which threads run is chosen.
//
// Faults end the run with a message: an index outside its array, an array outside the memory it was
// given, a read of what nobody wrote, a write to an input, two unordered accesses to one element
// (see `Memory`), a barrier or a warp's collective that not all of its threads reach.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)

struct Dim {
  unsigned x;
};
inline Dim threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

constexpr int kLanes = 32;
constexpr size_t kStack = 128 * 1024;

struct Fault {
  std::string message;
};

// The order in which runnable threads are picked. `random` also switches at each atomic operation.
struct Schedule {
  enum { forward, reverse, random };
};

enum class Access { read, atomic, write };

struct Fiber {
  ucontext_t start;
  jmp_buf point;
  std::vector<char> stack;
  bool started = false;
};

// What is known of four bytes: who touched them since the last block barrier.
struct Word {
  uint32_t epoch = 0;  // of the block, when the marks were last cleared
  uint32_t kinds = 0;  // bit mask of Access since then
  int last_block = -1, last_changing_block = -1;
  bool written = false;
};

// The lanes of one warp that accessed a word, at that warp's latest epoch.
struct Mark {
  uint32_t warp_epoch, lanes;
};

// A block of memory a kernel may touch. Accesses by two threads are ordered if a block barrier lies
// between them, or a __syncwarp if they share a warp. Unordered ones race unless both read or both
// are atomic. Shuffles and ballots order nothing.
struct Memory {
  char* base;
  size_t bytes;
  bool read_only, shared;
  std::vector<Word> words{};
  Mark* marks = nullptr;  // [words][warps][3], zero pages until used

  bool holds(const void* from, size_t size) const {
    const char* start = static_cast<const char*>(from);
    return start >= base && start + size <= base + bytes;
  }
};

struct Collective {
  uint64_t value[2][kLanes];  // the next one may start before the last lane has read this one
  int arrived = 0, parity = 0, operation = 0, line = 0;
};

struct Machine {
  int threads = 0, schedule = 0, current = 0, block = 0;
  bool races = true;
  uint64_t random_state = 1, switches = 0, switch_limit = 0;
  uint32_t block_epoch = 1;
  std::vector<uint32_t> warp_epoch;
  std::vector<Collective> collectives;
  std::vector<Fiber> fibers;
  std::vector<uint64_t> ready;  // one bit a thread
  std::vector<Memory> memories;
  std::vector<char> shared;
  jmp_buf scheduler;
  void (*body)(void**) = nullptr;
  void** arguments = nullptr;
  int arrived = 0, barrier_line = 0, finished = 0, skipped_barrier = -1;
  std::string fault;
};

inline Machine machine;

[[noreturn]] inline void fail(const std::string& what) {
  throw Fault{what + " (block " + std::to_string(machine.block) + ", thread " +
              std::to_string(machine.current) + ")"};
}

inline uint64_t random_bits() {  // xorshift
  uint64_t& s = machine.random_state;
  s ^= s << 13, s ^= s >> 7, s ^= s << 17;
  return s;
}

inline void set_ready(int thread) { machine.ready[thread / 64] |= 1ull << (thread % 64); }

inline void to_scheduler() {
  if (_setjmp(machine.fibers[machine.current].point) == 0) _longjmp(machine.scheduler, 1);
}

inline void wait() {
  const int thread = machine.current;
  machine.ready[thread / 64] &= ~(1ull << (thread % 64));
  to_scheduler();
}

inline int warp_of(int thread) { return thread / kLanes; }

inline void sync_block(int line) {
  if (machine.arrived == 0) machine.barrier_line = line;
  if (machine.barrier_line != line) fail("threads wait at two different __syncthreads");
  if (++machine.arrived < machine.threads) return wait();
  machine.arrived = 0;
  ++machine.block_epoch;
  for (int t = 0; t < machine.threads; ++t) set_ready(t);
  to_scheduler();
}

// Waits for the other lanes of the warp and returns the values they brought.
inline const uint64_t* sync_warp(int operation, int line, uint32_t mask, uint64_t value) {
  if (mask != 0xffffffffu) fail("a collective of only some lanes");
  const int warp = warp_of(machine.current), lane = machine.current % kLanes;
  Collective& here = machine.collectives[warp];
  if (here.arrived == 0) here.operation = operation, here.line = line;
  if (here.operation != operation || here.line != line) {
    fail("lanes of a warp wait at different places");
  }
  const uint64_t* values = here.value[here.parity];
  here.value[here.parity][lane] = value;
  if (++here.arrived < kLanes) {
    wait();
    return values;
  }
  here.arrived = 0;
  here.parity ^= 1;
  if (operation == 0) ++machine.warp_epoch[warp];
  for (int l = 0; l < kLanes; ++l) set_ready(warp * kLanes + l);
  to_scheduler();
  return values;
}

// For sources whose barriers were numbered, so that a test may leave one out.
inline bool keeps_barrier(int number) { return number != machine.skipped_barrier; }

inline Memory* memory_of(const void* from, size_t size) {
  for (Memory& memory : machine.memories) {
    if (memory.holds(from, size)) return &memory;
  }
  fail("an array of " + std::to_string(size) + " bytes lies outside the memory given");
}

inline void check_race(Memory& memory, size_t index, Access access) {
  Word& word = memory.words[index];
  const int warps = machine.threads / kLanes, warp = warp_of(machine.current);
  Mark* marks = memory.marks + index * warps * 3;
  if (word.epoch != machine.block_epoch) {
    std::memset(marks, 0, sizeof(Mark) * warps * 3);
    word.epoch = machine.block_epoch;
    word.kinds = 0;
  }
  const uint32_t lane = 1u << (machine.current % kLanes), now = machine.warp_epoch[warp];
  Mark& mine = marks[warp * 3 + static_cast<int>(access)];
  if (mine.warp_epoch == now && (mine.lanes & lane)) return;
  static constexpr uint32_t conflicting[] = {0b110, 0b101, 0b111};
  const uint32_t others = conflicting[static_cast<int>(access)];
  if (word.kinds & others) {
    for (int w = 0; w < warps; ++w) {
      for (int kind = 0; kind < 3; ++kind) {
        const Mark& mark = marks[w * 3 + kind];
        if (!(others >> kind & 1) || mark.lanes == 0) continue;
        const bool unordered = w != warp || (mark.warp_epoch == now && (mark.lanes & ~lane));
        if (unordered) fail("a race: no barrier lies between two accesses to one element");
      }
    }
  }
  if (mine.warp_epoch != now) mine = {now, 0};
  mine.lanes |= lane;
  word.kinds |= 1u << static_cast<int>(access);
}

inline void check(Memory& memory, const void* address, Access access) {
  const size_t index = (static_cast<const char*>(address) - memory.base) / 4;
  Word& word = memory.words[index];
  if (memory.read_only) fail("a write to an input");
  if (access != Access::write && !word.written) fail("a read of what nobody wrote");
  const int before = access == Access::read ? word.last_changing_block : word.last_block;
  if (before >= 0 && before != machine.block) fail("a race between two blocks");
  if (machine.races) check_race(memory, index, access);
  word.last_block = machine.block;
  if (access != Access::read) word.last_changing_block = machine.block, word.written = true;
}

inline int pick() {
  const int count = static_cast<int>(machine.ready.size());
  const bool last_first = machine.schedule == Schedule::reverse;
  const int from = machine.schedule == Schedule::random ? random_bits() % machine.threads : 0;
  for (int k = 0; k <= count; ++k) {
    const int w = last_first ? (count - 1 - k % count) : (from / 64 + k) % count;
    uint64_t bits = machine.ready[w];
    if (k == 0 && !last_first) bits &= ~0ull << (from % 64);
    if (bits) return w * 64 + (last_first ? 63 - __builtin_clzll(bits) : __builtin_ctzll(bits));
  }
  return -1;
}

inline void fiber_main() {
  for (;;) {
    try {
      machine.body(machine.arguments);
    } catch (const Fault& fault) {
      machine.fault = fault.message;
    }
    ++machine.finished;
    wait();
  }
}

inline void resume(int thread) {
  Fiber& fiber = machine.fibers[thread];
  machine.current = thread;
  threadIdx.x = thread;
  if (_setjmp(machine.scheduler) != 0) return;
  if (fiber.started) _longjmp(fiber.point, 1);
  fiber.started = true;
  setcontext(&fiber.start);
}

inline void run_block() {
  machine.arrived = machine.finished = 0;
  for (Collective& collective : machine.collectives) collective.arrived = 0;
  for (int t = 0; t < machine.threads; ++t) set_ready(t);
  ++machine.block_epoch;
  while (machine.fault.empty()) {
    const int thread = pick();
    if (thread < 0) break;
    if (++machine.switches > machine.switch_limit) machine.fault = "the kernel does not end";
    resume(thread);
  }
  if (machine.fault.empty() && machine.finished < machine.threads) {
    machine.fault = "a barrier or collective that not all threads reach";
  }
}

inline void prepare_fibers() {
  machine.fibers.resize(machine.threads);
  for (Fiber& fiber : machine.fibers) {
    fiber.stack.resize(kStack);
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.data();
    fiber.start.uc_stack.ss_size = kStack;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, fiber_main, 0);
    fiber.started = false;
  }
}

inline void prepare_memory(Memory& memory, bool fresh) {
  Word word;
  word.written = !fresh && !memory.shared;
  memory.words.assign(memory.read_only ? 0 : memory.bytes / 4 + 1, word);
  const size_t warps = machine.threads / kLanes;
  if (machine.races && !memory.read_only) {
    memory.marks = static_cast<Mark*>(calloc(memory.words.size() * warps * 3, sizeof(Mark)));
  }
}

}  // namespace emulator

extern "C" {

// How to run a kernel; mirrored by tests/ops/cuda/emulation.py.
struct Launch {
  int32_t blocks, threads, shared_bytes, schedule, races, inputs, outputs;
  int32_t skipped_barrier;  // its number in the sources, or -1
  int32_t fresh;            // whether outputs hold nothing that may be read
  int32_t given;            // how many arguments there are
  uint64_t seed, switch_limit;
  void** base;      // [inputs + outputs] where each tensor starts
  uint64_t* bytes;  // [inputs + outputs] how long it is
};
}

namespace emulator {

// Runs all blocks; returns an empty string or the fault.
inline const char* launch(const Launch& how, void (*body)(void**), void** arguments) {
  machine.threads = how.threads;
  machine.schedule = how.schedule;
  machine.races = how.races != 0;
  machine.random_state = how.seed * 2 + 1;
  machine.skipped_barrier = how.skipped_barrier;
  machine.switches = 0;
  machine.switch_limit = how.switch_limit;
  machine.body = body;
  machine.arguments = arguments;
  machine.fault.clear();
  machine.block_epoch = 1;
  const int warps = how.threads / kLanes;
  machine.warp_epoch.assign(warps, 1);
  machine.collectives.assign(warps, Collective{});
  machine.ready.assign((how.threads + 63) / 64, 0);
  machine.shared.assign(how.shared_bytes + 8, 0);
  machine.memories.clear();
  for (int i = 0; i < how.inputs + how.outputs; ++i) {
    machine.memories.push_back(
        {static_cast<char*>(how.base[i]), how.bytes[i], i < how.inputs, false});
  }
  machine.memories.push_back(
      {machine.shared.data(), static_cast<size_t>(how.shared_bytes), false, true});
  for (Memory& memory : machine.memories) prepare_memory(memory, how.fresh != 0);
  prepare_fibers();
  blockDim.x = how.threads;
  gridDim.x = how.blocks;
  for (int b = 0; b < how.blocks && machine.fault.empty(); ++b) {
    machine.block = b;
    blockIdx.x = b;
    Memory& shared = machine.memories.back();
    for (Word& word : shared.words) word = Word{};
    for (char& byte : machine.shared) byte = static_cast<char>(random_bits());
    run_block();
  }
  for (Memory& memory : machine.memories) free(memory.marks);
  return machine.fault.c_str();
}

template <class... Parameters, size_t... Index>
void call(void (*kernel)(Parameters...), void** arguments, std::index_sequence<Index...>) {
  kernel(*static_cast<Parameters*>(arguments[Index])...);
}

template <class... Parameters>
constexpr int count(void (*)(Parameters...)) {
  return sizeof...(Parameters);
}

template <class... Parameters>
void call(void (*kernel)(Parameters...), void** arguments) {
  call(kernel, arguments, std::index_sequence_for<Parameters...>{});
}

}  // namespace emulator
