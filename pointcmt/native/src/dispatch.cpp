#include <atomic>
#include <cstring>

#include "kernels.h"

namespace pointcmt {
namespace {

const Kernels* supported(const char* name) {
#ifdef POINTCMT_X86_LEVELS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw") && (!name || !std::strcmp(name, "avx512"))) {
    return &avx512::kernels;
  }
  const bool fused = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (fused && (!name || !std::strcmp(name, "avx2"))) {
    return &avx2::kernels;
  }
#endif
  return !name || !std::strcmp(name, "baseline") ? &baseline::kernels : nullptr;
}

std::atomic<const Kernels*> chosen{nullptr};

}  // namespace

const Kernels& kernels() {
  const Kernels* found = chosen.load(std::memory_order_relaxed);
  if (!found) chosen.store(found = supported(nullptr), std::memory_order_relaxed);
  return *found;
}

bool choose_kernels(const char* name) {
  const Kernels* found = supported(name);
  if (found) chosen.store(found, std::memory_order_relaxed);
  return found != nullptr;
}

}  // namespace pointcmt
