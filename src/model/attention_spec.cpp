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

}  // namespace mfa
