// A model's chat template as the trainer's ChatFormat.
#pragma once

#include <filesystem>
#include <string>

#include "train/chat_text.h"

namespace mfa {

// The template of `model` with its BOS and EOS; conversations with tools are rendered by its "tool_use" template, if it
// has one. `template_file` replaces both, unless empty: one with generation blocks, say, for training alone. BadInput
// if there is none, or if it is no template.
ChatFormat load_chat_format(const std::filesystem::path& model, const std::filesystem::path& template_file);

}  // namespace mfa
