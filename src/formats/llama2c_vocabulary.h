// llama2.c's tokenizer.bin: a SentencePiece BPE vocabulary.
//
//   u32 bytes of the longest piece; then for each id f32 score, u32 length, that many bytes. Little endian; how many
//   ids there are is not in the file. 0 <unk>, 1 BOS, 2 EOS, 3…258 the bytes; a space is a space; BOS and EOS are
//   written
//   "\n<s>\n" and "\n</s>\n".
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "formats/tokenizer_description.h"

namespace mfa {

// With <s> put before a text, as run.c does. BadInput, naming `where`, for what is no such file.
TokenizerDescription describe_llama2c(std::span<const std::byte> tokenizer_bin, std::string_view where);

}  // namespace mfa
