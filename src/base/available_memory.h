// How much memory this process may still take, and how much there is.
#pragma once

#include <cstdint>

namespace mfa {

// Bytes: the least of what Linux calls available (MemAvailable: free, or in caches that it gives up) and what is left
// of the control group's limit. No limit at all where neither is known.
int64_t available_memory();

// Bytes that this process might take at most were nothing else running: the machine's, or the control group's limit.
// 0 where neither is known.
int64_t total_memory();

}  // namespace mfa
