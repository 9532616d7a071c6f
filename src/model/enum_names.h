// Names of the spec's choices, as files and the command line write them.
#pragma once

#include <array>
#include <string_view>
#include <type_traits>

#include "base/error.h"
#include "model/model_config.h"

namespace mfa {

template <class Enum>
struct EnumNames;
template <>
struct EnumNames<PositionKind> {
  static constexpr std::array<std::string_view, 3> names = {"rope", "alibi", "none"};
};
template <>
struct EnumNames<RopeScaling> {
  static constexpr std::array<std::string_view, 5> names = {"none", "linear", "ntk", "yarn", "llama3"};
};
template <>
struct EnumNames<KeySource> {
  static constexpr std::array<std::string_view, 3> names = {"projection", "latent", "input"};
};
template <>
struct EnumNames<ValueSource> {
  static constexpr std::array<std::string_view, 3> names = {"projection", "latent", "key"};
};
template <>
struct EnumNames<KeyReuse> {
  static constexpr std::array<std::string_view, 4> names = {"identity", "map", "residual", "gated"};
};
template <>
struct EnumNames<ReuseAt> {
  static constexpr std::array<std::string_view, 2> names = {"before_rope", "after_rope"};
};
template <>
struct EnumNames<ModelNorm> {
  static constexpr std::array<std::string_view, 2> names = {"rms", "layer"};
};
template <>
struct EnumNames<InitKind> {
  static constexpr std::array<std::string_view, 3> names = {"paper", "gpt2", "deepseek"};
};
template <>
struct EnumNames<GateInit> {
  static constexpr std::array<std::string_view, 3> names = {"zero", "one", "normal"};
};

template <>
struct EnumNames<MixInit> {
  static constexpr std::array<std::string_view, 2> names = {"fan-in", "identity"};
};

template <class Enum>
std::string_view enum_name(Enum value) {
  return EnumNames<Enum>::names[static_cast<size_t>(value)];
}

// BadInput, listing the known names, for any other.
template <class Enum>
Enum parse_enum(std::string_view name, std::string_view what) {
  const auto& names = EnumNames<Enum>::names;
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Enum>(i);
  bad_input("[{}] unknown choice, got {}, expected {}", what, name, fmt::join(names, ", "));
}

}  // namespace mfa
