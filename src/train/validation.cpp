#include "train/validation.h"

#include <cmath>
#include <numbers>

#include "train/packed_rows.h"

namespace mfa {

namespace {

bool read_held_out(const Corpus& corpus, int64_t context, int64_t first, int64_t sequences, Batch& batch) {
  return corpus.row_context > 0 ? read_rows(corpus.held_out, context, first, sequences, batch)
                                : read_windows(corpus.held_out, context, first, sequences, batch);
}

}  // namespace

Validation validate_loss(Transformer& model, const Corpus& corpus, int64_t sequences, int64_t context,
                         int64_t most_tokens) {
  const Tokenizer& tokenizer = corpus.tokenizer;
  double nats = 0;
  int64_t scored = 0, bytes = 0;
  Batch batch;
  for (int64_t first = 0; first * context < most_tokens && read_held_out(corpus, context, first, sequences, batch);
       first += sequences) {
    // The model's shape is fixed: a last batch that is short is filled up with tokens that are not scored.
    const auto rows = static_cast<size_t>(sequences * context);
    batch.ids.resize(rows, 0);
    batch.targets.resize(rows, -1);
    batch.doc_start.resize(rows, 0);
    nats += model.loss({batch.ids, batch.targets,
                        batch.documents ? std::span<const int32_t>(batch.doc_start) : std::span<const int32_t>()});
    for (const int32_t target : batch.targets) {
      if (target < 0) continue;
      ++scored;
      if (target != tokenizer.eos()) bytes += static_cast<int64_t>(tokenizer.token_bytes(target).size());
    }
  }
  if (scored == 0) return {};
  return {nats / static_cast<double>(scored), bytes > 0 ? nats / std::numbers::ln2 / static_cast<double>(bytes) : 0};
}

}  // namespace mfa
