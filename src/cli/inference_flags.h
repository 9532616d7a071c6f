// Flags of commands that run a model: generate, perplexity.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "runtime/model_session.h"

namespace mfa {

struct InferenceFlags {
  std::string model;
  SessionOptions session;

  void add_to(CLI::App& app) {
    app.add_option("model", model, "Model folder, GGUF file, or a .safetensors file beside its config.json")
        ->required()
        ->type_name("MODEL");
    app.add_option("--precision", session.precision, "auto (follows the file), bf16 or f32")->capture_default_str();
    app.add_option("--kv", session.kv, "Type of the key/value cache: auto (follows the file), f32, bf16 or int8")
        ->capture_default_str();
  }
};

}  // namespace mfa
