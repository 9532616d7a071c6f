// ModelConfig from the metadata of a GGUF file.
#pragma once

#include "formats/gguf.h"
#include "model/gguf_names.h"
#include "model/model_config.h"

namespace mfa {

GgufArchitecture gguf_architecture(const GgufFile& file);

// BadInput, naming the file and the key, for what is missing, out of range, or asks for something that we do not have
// (experts, RoPE on a part of the dims, soft caps, other scalings). A missing output.weight means tied embeddings.
// Llama 3's rope_freqs.weight is recognised as its scaling rule where it follows it, else kept as a table.
ModelConfig config_from_gguf(const GgufFile& file);

// The f32 as people write it: 1e-6 rather than 9.999999974752427e-07, so that a spec read back equals the one written.
double written_double(double f32);

}  // namespace mfa
