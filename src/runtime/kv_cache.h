// The key/value cache of a model: one page pool for each layer that owns a cache, one page table for all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device.h"
#include "kernels/paged_schedule.h"
#include "model/model_config.h"

namespace mfa {

// What one layer caches, from its spec alone. MFA-KR, FPBA and MLA keep one vector that is key and value at once.
KvPoolSpec kv_pool_spec(const AttentionSpec& attention, DType type, int64_t pages);
// Bytes one token takes in all layers, by the formula.
int64_t kv_bytes_per_token(const ModelConfig& config, DType type);

class KvCache {
 public:
  // Room for `tokens` tokens in all, rounded up to whole pages. Throws Failure when memory is short.
  KvCache(Device& device, const ModelConfig& config, DType type, int64_t tokens);

  int64_t page_tokens() const { return kPageTokens; }
  int64_t bytes_per_token() const;  // as allocated: bytes of a page ÷ its tokens, over all pools
  size_t bytes() const;             // allocated in all
  int64_t free_tokens() const { return static_cast<int64_t>(free_.size()) * kPageTokens; }
  KvPool& pool(int64_t layer) const { return *pools_[owners_[layer]]; }  // the owner's, for layers that share

 private:
  friend class Sequence;
  static constexpr int64_t kPageTokens = kCachePageTokens;
  std::vector<std::unique_ptr<KvPool>> pools_;  // by layer; null where the layer reads another's
  std::vector<int64_t> owners_;
  std::vector<int32_t> free_;
};

// One sequence of tokens: its pages and its length. Gives its pages back at the end.
class Sequence {
 public:
  explicit Sequence(KvCache& cache) : cache_(&cache) {}
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;
  ~Sequence() { truncate(0); }

  int64_t length() const { return length_; }
  std::span<const int32_t> pages() const { return pages_; }
  int64_t slot(int64_t position) const;  // page · page_tokens + offset
  void extend(int64_t tokens);           // takes pages as needed; Failure when the cache is full
  void truncate(int64_t length);         // forgets tokens from `length` on

 private:
  KvCache* cache_;
  std::vector<int32_t> pages_;
  int64_t length_ = 0;
};

}  // namespace mfa
