// Loss on the held-out text.
#pragma once

#include "formats/tokenizer.h"
#include "model/transformer.h"
#include "train/trainer.h"

namespace mfa {

// Over the first `most_tokens` held-out tokens, in whole windows, `sequences` at a time (the model's own batch).
Validation validate_loss(Transformer& model, const Corpus& corpus, int64_t sequences, int64_t context,
                         int64_t most_tokens);

}  // namespace mfa
