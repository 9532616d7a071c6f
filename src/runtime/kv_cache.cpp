#include "runtime/kv_cache.h"

#include "base/available_memory.h"
#include "base/error.h"
#include "base/file.h"

namespace mfa {

KvPoolSpec kv_pool_spec(const AttentionSpec& a, DType type, int64_t pages) {
  KvPoolSpec spec;
  spec.type = type;
  spec.pages = pages;
  spec.kv_heads = a.key_source == KeySource::latent ? 1 : a.kv_heads;
  spec.key_dim = a.key_source == KeySource::latent ? a.kv_rank + a.rope_dim : a.head_dim;
  spec.value_dim = a.key_source == KeySource::latent ? a.kv_rank : a.value_dim;
  spec.value_in_key = a.value_source != ValueSource::projection;
  return spec;
}

int64_t kv_bytes_per_token(const ModelConfig& config, DType type) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < config.n_layers(); ++i)
    if (config.owns_cache(i)) bytes += kv_pool_spec(config.layers[i].attention, type, 0).bytes_per_token();
  return bytes;
}

KvCache::KvCache(Device& device, const ModelConfig& config, DType type, int64_t tokens) {
  const int64_t pages = (tokens + kPageTokens - 1) / kPageTokens, token = kv_bytes_per_token(config, type);
  // Linux grants more than there is and kills whoever uses it: asked before, it is an error message.
  if (const int64_t most = available_memory(); token > 0 && pages > most / kPageTokens / token)
    fail("[memory] a cache of {} tokens takes {} bytes a token, available are {}; fewer tokens or --kv int8 take less",
         tokens, token, human_bytes(static_cast<uint64_t>(most)));
  for (int64_t i = 0; i < config.n_layers(); ++i) {
    owners_.push_back(config.cache_layer(i));
    pools_.push_back(config.owns_cache(i) ? device.make_kv_pool(kv_pool_spec(config.layers[i].attention, type, pages))
                                          : nullptr);
  }
  for (int64_t p = pages; p-- > 0;) free_.push_back(static_cast<int32_t>(p));
}

size_t KvCache::bytes() const {
  size_t total = 0;
  for (const auto& pool : pools_)
    if (pool) total += pool->bytes();
  return total;
}

int64_t KvCache::bytes_per_token() const {
  int64_t total = 0;
  for (const auto& pool : pools_)
    if (pool) total += static_cast<int64_t>(pool->bytes()) / (pool->spec().pages * pool->spec().page_tokens);
  return total;
}

int64_t Sequence::slot(int64_t position) const {
  return pages_[position / KvCache::kPageTokens] * KvCache::kPageTokens + position % KvCache::kPageTokens;
}

void Sequence::extend(int64_t tokens) {
  const int64_t pages = (length_ + tokens + KvCache::kPageTokens - 1) / KvCache::kPageTokens;
  const int64_t missing = pages - static_cast<int64_t>(pages_.size());
  if (missing > static_cast<int64_t>(cache_->free_.size()))
    fail("[kv cache] full, got {} more tokens to keep, expected at most {}", tokens, cache_->free_tokens());
  for (int64_t i = 0; i < missing; ++i) {
    pages_.push_back(cache_->free_.back());
    cache_->free_.pop_back();
  }
  length_ += tokens;
}

void Sequence::truncate(int64_t length) {
  length_ = length;
  const int64_t pages = (length + KvCache::kPageTokens - 1) / KvCache::kPageTokens;
  while (static_cast<int64_t>(pages_.size()) > pages) {
    cache_->free_.push_back(pages_.back());
    pages_.pop_back();
  }
}

}  // namespace mfa
