// NumPy's .npy files: how numbers leave for Python.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace mfa {

// Version 1.0, little-endian f32, C order. Written atomically.
void write_npy(const std::filesystem::path& file, std::span<const float> values, const std::vector<int64_t>& shape);

}  // namespace mfa
