#include "model/attention_spec.h"

namespace mfa {

int64_t AttentionSpec::cache_numbers() const {
  switch (key_source) {
    case KeySource::latent:
      return kv_rank + rope_dim;
    case KeySource::input:
      return head_dim;  // x itself, once
    case KeySource::projection:
      break;
  }
  return kv_heads * (head_dim + (value_source == ValueSource::key ? 0 : value_dim));
}

int64_t AttentionSpec::cache_scales() const {
  const auto groups = [](int64_t dim) { return (dim + 63) / 64; };
  switch (key_source) {
    case KeySource::latent:
      return groups(kv_rank + rope_dim);
    case KeySource::input:
      return groups(head_dim);
    case KeySource::projection:
      break;
  }
  return kv_heads * (groups(head_dim) + (value_source == ValueSource::key ? 0 : groups(value_dim)));
}

}  // namespace mfa
