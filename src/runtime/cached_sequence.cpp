#include "runtime/cached_sequence.h"

#include <algorithm>

#include "base/error.h"

namespace mfa {

GenerateResult CachedSequence::generate(Engine& engine, KvCache& cache, std::span<const int32_t> prompt,
                                        Sampler& sampler, const GenerateOptions& options) {
  if (prompt.empty()) bad_input("[generate] the prompt is empty, expected at least one token");
  const size_t most = std::min(ids_.size(), prompt.size() - 1);
  const auto common = static_cast<size_t>(
      std::mismatch(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(most), ids_.begin()).first -
      prompt.begin());
  ids_.resize(common);
  sequence_.truncate(static_cast<int64_t>(common));
  sampler.forget();
  sampler.accept(prompt.first(common));
  GenerateResult result = mfa::generate(engine, cache, sequence_, prompt.subspan(common), sampler, options);
  // What is in the cache: an interrupted prompt may be there in part, and the last new token was never computed.
  ids_.assign(prompt.begin(), prompt.end());
  ids_.insert(ids_.end(), result.ids.begin(), result.ids.end());
  ids_.resize(static_cast<size_t>(sequence_.length()));
  return result;
}

}  // namespace mfa
